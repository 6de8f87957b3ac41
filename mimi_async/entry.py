"""The entry of a core: it binds the core to one event loop, and earlier calls wait for it."""

import asyncio
import logging
from contextlib import suppress

from .databases.affinity import LoopAffinity
from .timeouts import Timeouts

_log = logging.getLogger(__name__)


class Entry:
    """The entry of a core into one event loop. The core belongs to that loop also when it was left.

    Before the entry, calls may wait here in any event loop and thread; after it, those in another loop are refused. The
    first long wait is logged, since `async with core` is probably missing.

    Args:
        timeouts: `call` limits how long a view waits, `entry_warning` is when a wait is logged.

    Attributes:
        home: The event loop of the core.
        timeouts: The time limits of the core; may be replaced.
    """

    __slots__ = ("_has_warned", "_waiters", "home", "timeouts")

    def __init__(self, timeouts: Timeouts) -> None:
        self.home: LoopAffinity = LoopAffinity("the core")
        self.timeouts: Timeouts = timeouts
        self._waiters: set[asyncio.Future[None]] = set()
        self._has_warned = False

    def enter(self) -> None:
        """Bind the core to the running event loop and wake the waiters, each in its own loop."""
        self.home.enter()
        for waiter in tuple(self._waiters):
            with suppress(RuntimeError):  # the loop of this waiter was closed
                waiter.get_loop().call_soon_threadsafe(_wake, waiter)

    async def wait(self) -> None:
        """Wait until the core was entered in this event loop.

        Raises:
            ConfigurationError: It was entered in another event loop.
        """
        if not self.home.entries:
            loop = asyncio.get_running_loop()
            waiter, warning = loop.create_future(), loop.call_later(self.timeouts.entry_warning, self._warn)
            self._waiters.add(waiter)
            try:
                if not self.home.entries:  # else another thread has entered the core since
                    await waiter
            finally:
                self._waiters.discard(waiter)
                warning.cancel()
        self.home.check()

    def _warn(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            seconds = self.timeouts.entry_warning
            _log.warning("a call has waited %g s for the start of the core: `async with core` is missing", seconds)


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
