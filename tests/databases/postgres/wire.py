"""A relay to PostgreSQL that a test may cut, or let drop what goes over it."""

import asyncio
import re
from contextlib import suppress
from urllib.parse import urlsplit

from ...loopback import Listener, run_until_one_ends

_DONE = re.compile(rb"2\0\0\0\x04(?!D\0\0\0.\0\x01\0\0\0\x03off)", re.DOTALL)
"""How the server begins to answer a statement that was executed and committed; not whether it only reads."""


class Wire(Listener):
    """Copy bytes in both directions.

    Attributes:
        is_dropping: Whether nothing arrives at either end, without an error. A connection that lost something stays
            dead: only new connections are relayed.
        spares: How many of the next answers arrive.
        cuts: How many of those after them are lost, together with the connection: the server has executed them.
    """

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self.is_dropping = False
        self.spares = self.cuts = 0
        self._address = urlsplit(dsn)

    @property
    def dsn(self) -> str:
        """The address by way of the wire."""
        return self._address._replace(netloc=f"postgres@127.0.0.1:{self.port}").geturl()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        is_dead = asyncio.Event()
        try:
            await run_until_one_ends(
                self._copy(reader, server_writer, is_dead, from_server=False),
                self._copy(server_reader, writer, is_dead, from_server=True),
            )
        finally:
            writer.transport.abort()
            server_writer.close()

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_dead: asyncio.Event, *, from_server: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                if from_server and _DONE.match(data) and self._is_cut():
                    return
                if self.is_dropping:
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
