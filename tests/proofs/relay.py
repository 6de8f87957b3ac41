"""A relay between a client and the server, which takes each exchange into its hands: late, halved, swapped, never."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

import attrs


@attrs.frozen(eq=False)
class Exchange:
    """A request that has come whole, and the way to its reply.

    Attributes:
        line: Method and path: "POST /v1/sessions".
        request: The bytes of the request.
    """

    line: str
    request: bytes
    _client: asyncio.StreamWriter
    _server: tuple[asyncio.StreamReader, asyncio.StreamWriter]

    async def ask(self) -> None:
        """Pass the request on."""
        self._server[1].write(self.request)
        await self._server[1].drain()

    async def reply(self) -> bytes:
        """Wait for the whole reply of the server."""
        return await read_message(self._server[0])

    async def deliver(self, reply: bytes) -> None:
        """Pass a reply, or a part of it, to the client."""
        self._client.write(reply)
        await self._client.drain()


Carry = Callable[[Exchange], Awaitable[None]]


async def faithfully(exchange: Exchange) -> None:
    """Carry an exchange as it is."""
    await exchange.ask()
    await exchange.deliver(await exchange.reply())


class Relay:
    """Listens on loopback, in the running loop, and leaves each exchange to `carry`; what that raises cuts both ends.

    Attributes:
        url: What the client takes for the server.
        carry: May be changed at any time.
    """

    url: str

    def __init__(self, server: str, carry: Carry = faithfully) -> None:
        self.carry = carry
        self._host, self._port = urlsplit(server).hostname, urlsplit(server).port
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accepted, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._listener.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._served(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        with suppress(OSError, asyncio.IncompleteReadError):
            try:
                server = await asyncio.open_connection(self._host, self._port)
                ends.append(server[1])
                while True:
                    request = await read_message(reader)
                    line = request.split(b" HTTP/", 1)[0].partition(b"?")[0].decode()
                    await self.carry(Exchange(line, request, writer, server))
            finally:
                for end in ends:
                    end.close()


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """Read one message of HTTP/1.1 that tells its length, or has no body."""
    head = await reader.readuntil(b"\r\n\r\n")
    for field in head.lower().split(b"\r\n"):
        if field.startswith(b"content-length:"):
            return head + await reader.readexactly(int(field.partition(b":")[2]))
    return head
