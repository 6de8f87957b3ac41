"""An HTTP proxy that passes each exchange to a function, which may delay, cut or swap it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import urlsplit

import attrs

from ..loopback import Listener


@attrs.frozen(eq=False)
class Exchange:
    """A complete request, and the connections to forward it.

    Attributes:
        line: Method and path: "POST /v1/sessions".
        request: The bytes of the request.
    """

    line: str
    request: bytes
    _client: asyncio.StreamWriter
    _server: tuple[asyncio.StreamReader, asyncio.StreamWriter]

    async def ask(self) -> None:
        """Send the request to the server."""
        self._server[1].write(self.request)
        await self._server[1].drain()

    async def reply(self) -> bytes:
        """Read the reply of the server."""
        return await read_message(self._server[0])

    async def deliver(self, reply: bytes) -> None:
        """Send a reply, or a part of it, to the client."""
        self._client.write(reply)
        await self._client.drain()


Carry = Callable[[Exchange], Awaitable[None]]


async def forward(exchange: Exchange) -> None:
    """Forward an exchange unchanged."""
    await exchange.ask()
    await exchange.deliver(await exchange.reply())


class Relay(Listener):
    """Pass each exchange to `carry`; an error of `carry` closes both connections.

    Attributes:
        carry: The function; may be replaced at any time.
    """

    def __init__(self, server: str, carry: Carry = forward) -> None:
        super().__init__()
        self.carry = carry
        self._host, self._port = urlsplit(server).hostname, urlsplit(server).port

    @property
    def url(self) -> str:
        """The address for the client."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
    """Read an HTTP/1.1 message with a Content-Length or without a body."""
    head = await reader.readuntil(b"\r\n\r\n")
    for field in head.lower().split(b"\r\n"):
        if field.startswith(b"content-length:"):
            return head + await reader.readexactly(int(field.partition(b":")[2]))
    return head
