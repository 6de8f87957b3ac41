"""A long wire between a client and a server: what goes in at one end comes out at the other, later."""

import asyncio
from contextlib import suppress
from typing import Self

import attrs


@attrs.define(eq=False)
class Pipe:
    """Listens on loopback, in the running loop, and carries bytes both ways.

    Attributes:
        host: Of the server.
        port: Of the server.
        seconds: How long each byte takes.
        here: The port to connect to.
    """

    host: str
    port: int
    seconds: float
    here: int = 0
    _connections: set[asyncio.Task[None]] = attrs.Factory(set)
    _listener: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accepted, "127.0.0.1", 0, backlog=1024)
        self.here = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._listener is not None:
            self._listener.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._carried(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _carried(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        with suppress(OSError):
            try:
                there = await asyncio.open_connection(self.host, self.port)
                ends.append(there[1])
                async with asyncio.TaskGroup() as ways:
                    ways.create_task(self._one_way(reader, there[1]))
                    ways.create_task(self._one_way(there[0], writer))
            except* OSError:
                pass
            finally:
                for end in ends:
                    end.close()

    async def _one_way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        sent: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        async with asyncio.TaskGroup() as ends:
            arriving = ends.create_task(_arrive(sent, writer))
            with suppress(OSError):
                while data := await reader.read(1 << 16):
                    sent.put_nowait((loop.time() + self.seconds, data))
            sent.put_nowait((loop.time() + self.seconds, b""))
            await arriving


async def _arrive(sent: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due, data = await sent.get()
        await asyncio.sleep(due - loop.time())
        if not data:
            writer.close()
            return
        writer.write(data)
