"""What stands in for time, and what every test asks with."""

import asyncio

from mimi_async import wire
from mimi_async.identity import AnonymousId, ClientCredentials

ID = AnonymousId("3f2a0000-0000-4000-8000-00000000cafe")
CREDENTIALS = ClientCredentials("acme-player", "canary-secret")
LOG_IN = wire.log_in(ID)


class Clock:
    """The loop's time, which a test may push forward: timers then fire at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._real, self._offset = loop.time, 0.0
        self._loop = loop

    def __call__(self) -> float:
        return self._real() + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += seconds
        self._loop.call_soon(lambda: None)  # or the loop would sleep on


class Naps:
    """Instead of sleeping: what was asked for, and the most that the jitter may be."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.taken.append(seconds)
        await asyncio.sleep(0)

    def uniform(self, low: float, high: float) -> float:
        assert low == 0
        return high
