"""What may happen to an exchange on its way."""

import asyncio
import random

from .relay import Exchange


class Weather:
    """Carries exchanges late, in pieces, and sometimes not at all.

    Args:
        seed: Of all that is random.
        seconds: The longest delay of a piece.
        losses: How many of a hundred exchanges are cut off, before the server, after it, or within the reply.
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
    """Hands each pair of replies to the wrong one of the two, as a broken proxy or a shared connection would do.

    Attributes:
        swapped: How many replies went astray.
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
            (foreign, other), self._waiting = self._waiting, None
            other.set_result(reply)
            await exchange.deliver(foreign)
