"""Faults of a proxy: delay, cut and swap exchanges."""

import asyncio
import random

from .relay import Exchange


class UnreliableProxy:
    """Delay exchanges, split them, and cut some of them.

    Args:
        seed: The seed of the random generator.
        seconds: The longest delay of a piece.
        losses: Percentage of exchanges that are cut before the server, after it, or within the reply.
    """

    def __init__(self, seed: int, *, seconds: float, losses: int) -> None:
        self._random = random.Random(seed)
        self._seconds = seconds
        self._losses = losses

    async def __call__(self, exchange: Exchange) -> None:
        end = self._random.randrange(100)
        await self._wait()
        if end < self._losses / 3:
            raise ConnectionResetError
        await exchange.ask()
        reply = await exchange.reply()
        await self._wait()
        if end < self._losses * 2 / 3:
            raise ConnectionResetError
        cut = self._random.randrange(len(reply))
        await exchange.deliver(reply[:cut])
        await self._wait()
        if end < self._losses:
            raise ConnectionResetError
        await exchange.deliver(reply[cut:])

    async def _wait(self) -> None:
        await asyncio.sleep(self._random.random() ** 3 * self._seconds)


class Swap:
    """Swap each pair of replies, as a broken proxy or a shared connection would.

    Attributes:
        swapped: Number of replies that were swapped.
    """

    def __init__(self) -> None:
        self.swapped = 0
        self._waiting: tuple[bytes, asyncio.Future[bytes]] | None = None

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.ask()
        reply = await exchange.reply()
        self.swapped += 1
        if self._waiting is None:
            other: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            self._waiting = reply, other
            await exchange.deliver(await other)
        else:
            (earlier, other), self._waiting = self._waiting, None
            other.set_result(reply)
            await exchange.deliver(earlier)
