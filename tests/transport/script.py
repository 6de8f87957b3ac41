"""A server on a real socket that does what a test says, also what no server should do."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Self

import attrs

from ..loopback import Listener


@attrs.define(eq=False)
class Asked:
    """A request as it arrived, and the connection to answer it on."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def stay_silent(self) -> None:
        """Wait until the other end closes the connection."""
        await self.reader.read()


Answer = Callable[[Asked], Awaitable[None]]


def reply(status: int = 200, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> Answer:
    """A well-formed answer, with the exchange echoed unless `headers` say otherwise."""

    async def answer(asked: Asked) -> None:
        fields = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Mimi-Exchange": asked.headers["mimi-exchange"],
            **(headers or {}),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await asked.say(f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode() + body)

    return answer


def raw(data: bytes, *, then_close: bool = True) -> Answer:
    """Return exactly these bytes; `EXCHANGE` in them stands for the exchange of the request."""

    async def answer(asked: Asked) -> None:
        await asked.say(data.replace(b"EXCHANGE", asked.headers["mimi-exchange"].encode()))
        if then_close:
            asked.writer.close()
        else:
            await asked.stay_silent()

    return answer


async def reset(asked: Asked) -> None:
    """Break the connection."""
    asked.writer.transport.abort()


async def silence(asked: Asked) -> None:
    """Say nothing."""
    await asked.stay_silent()


class ScriptedServer:
    """Answers the first request with the first answer, and so on; the last answer serves all that follow."""

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.connections = 0
        self._answers = answers
        self._tls = tls
        self._changed = asyncio.Condition()
        self._live: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls, backlog=512)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for writer in self._live:
            writer.transport.abort()
        async with self._changed:
            await self._changed.wait_for(lambda: not self._live)

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def was_asked(self, times: int) -> None:
        """Wait until so many requests have arrived."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.asked) >= times)

    async def was_left(self) -> None:
        """Wait until no connection is open."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._live)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self._live.add(writer)
        try:
            while not writer.is_closing():
                asked = await _arrival(reader, writer, number)
                async with self._changed:
                    self.asked.append(asked)
                    self._changed.notify_all()
                await self._answers[min(len(self.asked), len(self._answers)) - 1](asked)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            async with self._changed:
                self._live.discard(writer)
                self._changed.notify_all()


class Replying(Listener):
    """Answers the first bytes of a connection, whatever they are, with the same words, and closes it."""

    def __init__(self, words: bytes) -> None:
        super().__init__()
        self._words = words

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(self._words)
        writer.close()


async def _arrival(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, headers, body, connection, reader, writer)
