"""The gate before the views: open, or shut with a cause."""

import asyncio

from .entry import Entry
from .errors import MimiError, NotStartedError, ViewsClosedError


class Gate:
    """Blocks views until it is known whether they may run.

    A gate is undecided at first, then open, or shut with a cause; it changes with the record. Each waiter gets an
    exception of its own, and the cancellation of a waiter affects no other.

    Args:
        entry: The entry of the core, which waiters await first.
        is_front: Whether waiters have a deadline until the gate is decided; else only until the core was entered.

    Attributes:
        is_open: Whether views may run.
        cause: Why it is shut; None while it is open or undecided.
    """

    __slots__ = ("_change", "_entry", "_is_front", "cause", "is_open")

    def __init__(self, entry: Entry, *, is_front: bool = False) -> None:
        self.is_open: bool = False
        self.cause: MimiError | None = None
        self._entry = entry
        self._is_front = is_front
        self._change: asyncio.Event | None = None

    @property
    def is_decided(self) -> bool:
        """Whether it is open, or shut with a cause."""
        return self.is_open or self.cause is not None

    def open(self) -> None:
        """Let waiting and later views run."""
        self.is_open, self.cause = True, None
        self._wake()

    def shut(self, cause: MimiError) -> None:
        """Refuse waiting and later views, each with a `ViewsClosedError` from this cause."""
        self.is_open, self.cause = False, cause.copy()
        self._wake()

    async def wait_open(self) -> None:
        """Wait until it is open.

        Raises:
            ViewsClosedError: It is shut, or the core was not entered in time; `.__cause__` says why.
            ConfigurationError: The core belongs to another event loop.
        """
        self._entry.home.check()
        if not self.is_decided:
            await self._wait_decided()
        if self.cause is not None:
            raise closed_error(self.cause)

    async def _wait_decided(self) -> None:
        try:
            async with asyncio.timeout(self._entry.timeouts.call) as limit:
                await self._entry.wait()
                if not self._is_front:
                    limit.reschedule(None)
                while not self.is_decided:
                    self._change = self._change or asyncio.Event()
                    await self._change.wait()
        except TimeoutError:
            within = f"within {self._entry.timeouts.call:g} s"
        else:
            return
        msg = f"the core was not entered {within}: make calls inside `async with core`, which starts it"
        if self._entry.home.entries:
            msg = f"the core did not start {within}: its start is still under way, try again"
        raise closed_error(NotStartedError(msg))

    def _wake(self) -> None:
        if self._change is not None:
            self._change.set()
            self._change = None


def closed_error(cause: MimiError) -> ViewsClosedError:
    """Return the error for a view that may not run; its cause is a copy."""
    error = ViewsClosedError(f"no view may run: {cause}")
    error.__cause__ = cause.copy()
    return error
