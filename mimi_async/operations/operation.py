"""One operation: a task that the core owns, with a deadline.

The caller waits on a future beside the task, so that a caller that is cancelled or late leaves no half operation. The
outcome is kept as a value and an error.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, Literal, TypeVar, cast

from ..errors import ConfigurationError, MimiError, NotStartedError, ServerTimeoutError, StoreUnavailableError

T = TypeVar("T")

Stage = Literal[
    "waiting", "asking the server", "asking the store", "asking known_id", "calling drop", "writing", "delivering"
]

_current: contextvars.ContextVar["Operation[Any] | None"] = contextvars.ContextVar("mimi_async_operation", default=None)


Body = Callable[["Operation[T]"], Coroutine[Any, Any, None]]
"""The work of an operation. It sets `value` or `error`, then calls `commit`."""


class Operation(Generic[T]):
    """One unit of work on an account.

    Attributes:
        deadline: The loop time by which the caller must have an answer.
        stage: What the operation waits for now.
        value: The result, once committed.
        error: Why the operation failed, once committed or cut by the deadline.
        owner: The account whose lock the operation holds, None before and after.
        parent: The operation that this one was called from, if that holds a lock.
        has_entered: Whether the operation has got the lock: what it asks then is newer than any event before.
        is_committed: Whether the outcome is settled, and only the delivery of the update is left.
        returns_at_commit: Whether the caller does not wait for the delivery.
        ignores_deadline: Whether the deadline does not cancel the task, since it restores a record.
    """

    __slots__ = (
        "_committed", "_cut", "_done", "_is_leaving", "_task", "_timer", "deadline", "error", "has_entered",
        "ignores_deadline", "is_committed", "owner", "parent", "returns_at_commit", "stage", "value",
    )  # fmt: skip

    def __init__(self, deadline: float, *, returns_at_commit: bool) -> None:
        self.deadline: float = deadline
        self.stage: Stage = "waiting"
        self.value: T | None = None
        self.error: Exception | None = None
        self.owner: object = None
        self.has_entered: bool = False
        self.is_committed: bool = False
        self.returns_at_commit: bool = returns_at_commit
        self.ignores_deadline: bool = False
        self.parent: Operation[Any] | None = _nearest_with_lock(_current.get())
        self._cut: MimiError | None = None
        self._is_leaving = False
        self._committed: asyncio.Event | None = None  # from the first wait on
        self._done: asyncio.Future[None]
        self._task: asyncio.Task[None]
        self._timer: asyncio.TimerHandle

    def start(self, loop: asyncio.AbstractEventLoop, body: "Body[T]") -> "asyncio.Task[None]":
        """Run the body as a task, until it ends or the deadline cancels it."""
        self._done = loop.create_future()
        self._timer = loop.call_at(self.deadline, self._on_deadline)
        self._task = loop.create_task(self._run(body))
        return self._task

    async def result(self) -> T:
        """Wait for the outcome and return the value. Only the one caller of the operation may use it.

        Raises:
            MimiError: The operation failed, its deadline has passed, or the core was left.
        """
        await self._done
        error = self.error
        if self.is_committed:
            self.error = None  # else the error, its traceback and the operation would form a cycle
        try:
            if error is not None:
                raise error
        finally:
            del error
        return cast("T", self.value)

    async def wait_committed(self) -> None:
        """Wait for the commit of an operation of another caller. A cancelled waiter does not disturb the operation."""
        if not self.is_committed:
            self._committed = self._committed or asyncio.Event()
            await self._committed.wait()

    def enter(self, owner: object) -> None:
        """Note that the operation holds the lock of `owner`.

        Raises:
            ServerTimeoutError: The deadline has passed: the operation must ask nothing.
        """
        if loop_time() >= self.deadline:
            raise self._deadline_error()
        self.owner, self.has_entered = owner, True
        _current.set(self)

    def commit(self) -> None:
        """Note that `value` and `error` are settled: waiters go on."""
        self.owner, self.stage = None, "delivering"
        _current.set(self.parent)  # else operation, task and context would form a cycle
        self._settle()
        if self.returns_at_commit:
            self._return()

    async def run_write(self, write: Awaitable[T]) -> T:
        """Await a store write, which leaving the core does not cut short."""
        self.stage = "writing"
        try:
            answer = await write
        finally:
            self.stage = "asking the store"
        if self._is_leaving:
            raise asyncio.CancelledError
        return answer

    def take_cut(self) -> MimiError | None:
        """After a cancellation: take it back and return the error of the deadline; None if it has another cause."""
        if self._cut is None or self._is_leaving:
            return None
        self._task.uncancel()
        cut, self._cut = self._cut, None
        return cut

    def leave(self) -> None:
        """Cancel the operation because the core is left; a store write is awaited first."""
        self._is_leaving = True
        if self.stage != "writing":
            self._task.cancel()

    def finish(self) -> None:
        """Note that the task has ended; all waiters go on."""
        if not self.is_committed and self.error is None:
            self.error = NotStartedError("the core was left; the stored record says how to go on")
        self._timer.cancel()
        self.owner = None
        self._settle()
        self._return()

    async def _run(self, body: "Body[T]") -> None:
        try:
            await body(self)
        except Exception as error:  # noqa: BLE001 - the caller raises it, whatever it is
            self.error = error
        except asyncio.CancelledError:
            if not self.is_committed:
                self.error = self._cut
        self.finish()

    def _settle(self) -> None:
        self.is_committed = True
        if self._committed is not None:
            self._committed.set()

    def _return(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _on_deadline(self) -> None:
        if not self.is_committed:
            late = self.error = self._deadline_error()
            if not self.ignores_deadline:
                self._cut = late
                self._task.cancel()
        self._return()

    def _deadline_error(self) -> MimiError:
        match self.stage:
            case "asking the store":
                return StoreUnavailableError("the store did not answer by the deadline; the record was kept")
            case "writing":
                return StoreUnavailableError("the store did not answer by the deadline; whether it wrote is not known")
            case "asking known_id":
                return StoreUnavailableError("known_id did not answer by the deadline: the user is not known")
            case "calling drop":
                return StoreUnavailableError("drop did not end by the deadline; the record was kept: try again")
            case "asking the server":
                return ServerTimeoutError("the server did not answer by the deadline; the stored record was kept")
            case _:
                return ServerTimeoutError("the calls before this one took until its deadline; nothing was asked")

    def is_inside(self, owner: object) -> bool:
        """Return whether this operation, or the one that it was called from, holds the lock of `owner`."""
        return self.owner is owner or (self.parent is not None and self.parent.is_inside(owner))


def _nearest_with_lock(operation: Operation[Any] | None) -> Operation[Any] | None:
    """Return the nearest operation outwards that holds a lock; those that have ended are released."""
    while operation is not None and operation.owner is None:
        operation = operation.parent
    return operation


def loop_time() -> float:
    """Return the time of the running event loop, in seconds: the clock of deadlines and of the age of answers."""
    return asyncio.get_running_loop().time()


def is_inside_operation() -> bool:
    """Return whether this code runs inside an operation: in a known_id, a store or a send."""
    return _current.get() is not None


def reject_reentrant_call(owner: object) -> None:
    """Raise a `ConfigurationError` inside an operation of `owner`, for which the call would wait: in a known_id."""
    operation = _current.get()
    if operation is not None and operation.is_inside(owner):
        msg = "a call on a controller from within its own known_id, store or send would wait for itself: move it out"
        raise ConfigurationError(msg)
