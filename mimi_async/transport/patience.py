"""How long an attempt may take."""

import asyncio
from typing import Final, cast

from .call import Call

ATTEMPT_SECONDS: Final = 10.0


class Patience:
    """Ends attempts that take too long, with one timer for all of them: one for each cost 6 % of a loopback request.

    It can do so since nearly all attempts may take equally long: who began first is the first to end.
    """

    def __init__(self) -> None:
        self._running: dict[Limit, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def limit(self, call: Call) -> "Limit":
        """Return the limit of an attempt that begins now: 10 s, and never past the deadline of its call.

        Raises:
            ServerTimeoutError: No time is left.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        if call.deadline - now >= ATTEMPT_SECONDS:
            limit = Limit(self, now + ATTEMPT_SECONDS)
            self._running[limit] = None
            if self._timer is None:
                self._timer = loop.call_at(limit.when, self._look)
            return limit
        if call.deadline <= now:
            raise call.late()
        limit = Limit(self, call.deadline)
        limit.timer = loop.call_at(limit.when, limit.run_out)
        return limit

    def forget(self, limit: "Limit") -> None:
        """Limit it no more."""
        if limit.timer is not None:
            limit.timer.cancel()
        else:
            self._running.pop(limit, None)

    def _look(self) -> None:
        loop, self._timer = asyncio.get_running_loop(), None
        now = loop.time()
        for limit in list(self._running):
            if limit.when > now:
                self._timer = loop.call_at(limit.when, self._look)
                return
            del self._running[limit]
            limit.run_out()


class Limit:
    """Does what `asyncio.timeout` does: raises TimeoutError for its own cancellation, and lets others through."""

    __slots__ = ("_cancelling", "_has_run_out", "_patience", "_task", "timer", "when")

    def __init__(self, patience: Patience, when: float) -> None:
        task = cast("asyncio.Task[object]", asyncio.current_task())
        self.when: float = when
        self.timer: asyncio.TimerHandle | None = None
        self._patience = patience
        self._task = task
        self._cancelling = task.cancelling()
        self._has_run_out = False

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._patience.forget(self)
        if self._has_run_out and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError

    def run_out(self) -> None:
        """End it."""
        self._has_run_out = True
        self._task.cancel()
