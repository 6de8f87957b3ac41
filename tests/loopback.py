"""A server on loopback that serves each connection in a task."""

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Self


class Listener(ABC):
    """Listen on loopback until the context is left.

    Attributes:
        port: The port to connect to.
    """

    port: int

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024, ssl=self._tls)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._listener.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self.serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    @abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""


async def run_until_one_ends(*copies: Coroutine[object, object, None]) -> None:
    tasks = [asyncio.create_task(copy) for copy in copies]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
