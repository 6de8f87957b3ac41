"""Calls that may hang, one after another in one thread that nobody waits for at the end."""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")
Wanted = Callable[[], bool]
"""Tells whether the caller still waits."""


class Errand(Generic[T]):
    """Work for the thread, and its outcome. Nothing of it is shown by asyncio's debug mode, which logs arguments."""

    __slots__ = ("_work", "done", "error", "is_wanted", "result")

    def __init__(self, work: Callable[[Wanted], T]) -> None:
        self._work = work
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_wanted: bool = True
        self.result: T
        self.error: BaseException | None = None

    def run(self) -> None:
        """Do the work and keep what came of it."""
        try:
            self.result = self._work(lambda: self.is_wanted)
        except BaseException as error:  # noqa: BLE001 - whatever the work raises belongs to its caller, not to the thread
            self.error = error.with_traceback(None)
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            self.done.get_loop().call_soon_threadsafe(self.settle)

    def settle(self) -> None:
        """Wake the caller; runs in its loop."""
        if not self.done.done():
            self.done.set_result(None)


class Errands:
    """Runs errands in one daemon thread, which lives while there are any: if one hangs, the others wait behind it.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._has_thread: bool = False
        self._forget()

    @property
    def is_busy(self) -> bool:
        """Whether one is under way."""
        return self._has_thread

    async def run(self, work: Callable[[Wanted], T], timeout: float) -> T:
        """Return what the work returns.

        When the caller goes, the work goes on to its end; one that has not yet begun asks `Wanted` before it does.

        Raises:
            TimeoutError: It took too long, or one before it did.
        """
        errand = Errand(work)
        try:
            async with asyncio.timeout(timeout):
                self._take(errand)
                await errand.done
        finally:
            errand.is_wanted = False
        if errand.error is not None:
            raise errand.error
        return errand.result

    def _take(self, errand: "Errand[T]") -> None:
        if self._pid != os.getpid():
            self._forget()  # the thread stayed in the process that was forked
        with self._lock:
            while self._waiting and not self._waiting[0].is_wanted:  # behind one that hangs they would gather
                self._waiting.popleft()
            self._waiting.append(errand)  # type: ignore[arg-type]  # nobody but its caller looks at the result
            if not self._has_thread:
                threading.Thread(target=self._serve, name=self._name, daemon=True).start()
                self._has_thread = True

    def _serve(self) -> None:
        while (errand := self._next()) is not None:
            errand.run()

    def _next(self) -> "Errand[object] | None":
        with self._lock:
            self._has_thread = bool(self._waiting)
            return self._waiting.popleft() if self._waiting else None

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._waiting: deque[Errand[object]] = deque()
        self._has_thread = False
