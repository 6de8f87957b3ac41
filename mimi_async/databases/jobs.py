"""Jobs for a thread that owns a resource. Those of one pass of the event loop cross to the thread together."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

_R = TypeVar("_R")
_T = TypeVar("_T")

_MAX_GATHERED = 1024


class Job(Generic[_R, _T]):
    """A function of a resource that runs in another thread, and its outcome.

    asyncio's debug mode logs the arguments of callbacks and the results of futures: what crosses between the threads is
    an object whose repr shows nothing.

    Attributes:
        done: Its result is whether the job has run; False: its time limit has passed, and it may still run.
        result: What the function returned, where `error` is None.
        error: What the function raised.
        timer: Limits how long the caller waits, None without a limit. Jobs that cross together share it.
        writes: Whether the function changes the resource.
    """

    __slots__ = ("_function", "done", "error", "result", "timer", "writes")

    def __init__(self, function: Callable[[_R], _T], loop: asyncio.AbstractEventLoop, *, writes: bool = False) -> None:
        self._function = function
        self.done: asyncio.Future[bool] = loop.create_future()
        self.writes: bool = writes
        self.result: _T
        self.error: BaseException | None = None
        self.timer: asyncio.TimerHandle | None = None

    def run(self, resource: _R) -> bool:
        """Call the function and keep the outcome; return whether it succeeded."""
        try:
            self.result = self._function(resource)
        except BaseException as error:  # noqa: BLE001 - what the function raises belongs to the caller, not to the thread
            self.error = error.with_traceback(None)
        else:
            self.error = None
        return self.error is None

    def settle(self, *, has_run: bool = True) -> None:
        """Wake the caller; runs in its loop."""
        if not self.done.done():
            self.done.set_result(has_run)


class JobQueue(Generic[_R]):
    """Hands jobs from an event loop to one thread.

    A crossing costs two switches of the interpreter lock, more than most jobs. So the jobs of one pass of the loop
    cross together, and the thread takes all batches that have gathered while it was busy.

    Args:
        timeout: Seconds that a caller waits for its job, None without a limit.
    """

    def __init__(self, timeout: float | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._pending: list[Job[_R, Any]] = []
        self._batches: SimpleQueue[Sequence[Job[_R, Any]]] = SimpleQueue()

    def submit(self, function: Callable[[_R], _T], *, writes: bool = False) -> Job[_R, _T]:
        """Return a job that crosses to the thread at the end of this pass of the event loop."""
        job = Job(function, self._loop, writes=writes)
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(job)
        return job

    def close(self) -> None:
        """End the thread after the jobs that were submitted."""
        self._flush()
        self._batches.put(())

    def take(self) -> Sequence[Job[_R, Any]]:
        """Wait for jobs and return all that have gathered, none at the end; runs in the thread."""
        jobs = [*self._batches.get()]
        with suppress(Empty):
            while jobs and len(jobs) < _MAX_GATHERED:
                batch = self._batches.get_nowait()
                jobs += batch
                if not batch:
                    self._batches.put(())  # the end: nothing follows it
                    break
        return jobs

    def call_loop(self, callback: Callable[[], None]) -> None:
        """Call a function in the event loop, unless the loop is closed; runs in the thread."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback)

    def _flush(self) -> None:
        jobs, self._pending = self._pending, []
        if jobs:
            if self._timeout is not None and not self._loop.is_closed():
                timer = self._loop.call_later(self._timeout, partial(settle_all, jobs, has_run=False))
                for job in jobs:
                    job.timer = timer
            self._batches.put(jobs)


def settle_all(jobs: Sequence[Job[Any, Any]], *, has_run: bool = True) -> None:
    """Wake the callers of jobs; runs in their loop."""
    timer = None
    for job in jobs:
        if job.timer is not timer:  # jobs that cross together share one: creations are 4 % faster than with 64 calls
            timer = job.timer
            if timer is not None:
                timer.cancel()
        job.settle(has_run=has_run)
