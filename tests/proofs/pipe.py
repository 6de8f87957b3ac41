"""A TCP proxy with latency."""

import asyncio
from contextlib import suppress

from ..loopback import Listener


class Pipe(Listener):
    """Forward bytes in both directions with a delay.

    Args:
        host: The host of the server.
        port: The port of the server.
        seconds: The delay of each byte.
    """

    def __init__(self, host: str, port: int, seconds: float) -> None:
        super().__init__()
        self._host, self._port, self._seconds = host, port, seconds

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        with suppress(OSError):
            try:
                there = await asyncio.open_connection(self._host, self._port)
                ends.append(there[1])
                async with asyncio.TaskGroup() as ways:
                    ways.create_task(self._copy(reader, there[1]))
                    ways.create_task(self._copy(there[0], writer))
            except* OSError:
                pass
            finally:
                for end in ends:
                    end.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        sent: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        async with asyncio.TaskGroup() as ends:
            arriving = ends.create_task(_arrive(sent, writer))
            with suppress(OSError):
                while data := await reader.read(1 << 16):
                    sent.put_nowait((loop.time() + self._seconds, data))
            sent.put_nowait((loop.time() + self._seconds, b""))
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
