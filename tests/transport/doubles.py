"""What stands in for time, and what every test asks with."""

import asyncio
from collections.abc import Callable

from mimi_async import wire
from mimi_async.identity import ClientCredentials
from mimi_async.secret import AccessToken, AnonymousId
from mimi_async.transport import Transport

ID = AnonymousId("3f2a0000-0000-4000-8000-00000000cafe")
CREDENTIALS = ClientCredentials("acme-player", "canary-secret")
LOG_IN = wire.log_in(ID)
GET = wire.get_user(AccessToken("token-1"))
UNSAFE = wire.Request(method="POST", path="/v1/unsafe", body=b"{}")
To = Callable[[str], Transport]


class Clock:
    """The loop's time, which stands still until a test advances it: timers then fire at once, on any machine.

    A test that uses it waits by `settle`, since `asyncio.sleep` would not end.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._now, self._loop = loop.time(), loop

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds
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
