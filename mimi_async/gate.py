"""The gate before the views: open, or shut with a cause."""

import asyncio

from .errors import MimiError, ViewsClosedError


class Gate:
    """Keeps views waiting until it is known whether they may run.

    Undecided at first. Many may wait at it and none of them can hurt another: each waits on a future of its own, and
    each gets an exception of its own. It may be opened and shut as often as the record behind it changes.
    """

    __slots__ = ("_waiters", "cause", "is_open")

    def __init__(self) -> None:
        self.is_open: bool = False
        self.cause: MimiError | None = None
        self._waiters: set[asyncio.Future[None]] | None = None

    @property
    def is_decided(self) -> bool:
        """Whether it is open, or shut with a cause."""
        return self.is_open or self.cause is not None

    def open(self) -> None:
        """Let all pass who wait and who come."""
        self.is_open, self.cause = True, None
        self._wake()

    def shut(self, cause: MimiError) -> None:
        """Turn away all who wait and who come, each with a `ViewsClosedError` from this cause."""
        self.is_open, self.cause = False, cause.again()
        self._wake()

    async def passed(self) -> None:
        """Return when it is open.

        Raises:
            ViewsClosedError: It is shut; `.__cause__` says why.
        """
        while not self.is_decided:
            await self._woken()
        if self.cause is not None:
            raise closed(self.cause)

    async def _woken(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        waiters = self._waiters = self._waiters or set()
        waiters.add(waiter)
        try:
            await waiter
        finally:
            waiters.discard(waiter)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)


def closed(cause: MimiError) -> ViewsClosedError:
    """Return the error of a view that may not run, with a cause of its own."""
    error = ViewsClosedError(f"no view may run: {cause}")
    error.__cause__ = cause.again()
    return error
