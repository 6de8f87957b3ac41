"""A wire to PostgreSQL that a test may cut, or let swallow what goes over it."""

import asyncio
import re
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

_DONE = re.compile(rb"2\0\0\0\x04(?!D\0\0\0.\0\x01\0\0\0\x03off)", re.DOTALL)
"""How the server begins to answer a statement that it has done and committed; not whether it only reads."""


class Wire:
    """Listens on loopback, in the running loop, and carries bytes both ways.

    Attributes:
        dsn: The address by way of the wire.
        swallows: Whether nothing arrives any more at either end, and nobody is told. Where something was lost, nothing
            ever arrives again: only new connections work.
        spares: How many of the next answers arrive.
        cuts: How many of those after them are lost, together with the connection: the server has done what was asked.
    """

    dsn: str

    def __init__(self, dsn: str) -> None:
        self.swallows = False
        self.spares = self.cuts = 0
        self._there = urlsplit(dsn)
        self._carriers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        here = self._listener.sockets[0].getsockname()[1]
        self.dsn = self._there._replace(netloc=f"postgres@127.0.0.1:{here}").geturl()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._listener.close()
        for carrier in self._carriers:
            carrier.cancel()
        await asyncio.gather(*self._carriers, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carrier = asyncio.create_task(self._carried(reader, writer))
        self._carriers.add(carrier)
        carrier.add_done_callback(self._carriers.discard)

    async def _carried(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(self._there.hostname, self._there.port)
        is_dead = asyncio.Event()
        ways = [
            asyncio.create_task(self._one_way(reader, there_writer, is_dead, from_server=False)),
            asyncio.create_task(self._one_way(there_reader, writer, is_dead, from_server=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            writer.transport.abort()
            there_writer.close()

    async def _one_way(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_dead: asyncio.Event, *, from_server: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                if from_server and _DONE.match(data) and self._is_cut():
                    return
                if self.swallows:
                    is_dead.set()
                if not is_dead.is_set():
                    writer.write(data)
                    await writer.drain()

    def _is_cut(self) -> bool:
        if self.spares or not self.cuts:
            self.spares = max(0, self.spares - 1)
            return False
        self.cuts -= 1
        return True
