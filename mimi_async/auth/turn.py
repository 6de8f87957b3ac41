"""One turn: a task of the core's own, bounded by a deadline.

The caller waits on a plain future beside it, so that a caller who is cancelled or runs late leaves no half turn behind.
What a turn comes to is kept as a value: each who waits raises it by himself.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, Literal, TypeVar, cast

from ..errors import (
    ConfigurationError,
    MimiError,
    NotStartedError,
    ServerTimeoutError,
    StoreUnavailableError,
)

T = TypeVar("T")

Doing = Literal["waiting", "asking the server", "asking the store", "asking known_id", "keeping", "telling"]

_inside: contextvars.ContextVar["Turn[Any] | None"] = contextvars.ContextVar("mimi_async_inside", default=None)


Steps = Callable[["Turn[T]"], Coroutine[Any, Any, None]]
"""What a turn does."""


class Turn(Generic[T]):
    """One turn under way.

    Attributes:
        deadline: The loop time by which its caller must have an answer.
        doing: What it does just now.
        result: What it came to, once committed.
        error: Why it failed, once committed or cut.
        holder: Whose lock it holds, None before and after.
        is_committed: Whether what it came to is settled, and nothing but the announcement is left.
        returns_at_commit: Whether its caller does not wait for the announcement.
        note: What led to its outcome, where that is no failure: it is announced and not raised.
        is_quiet: Whether its failure is not announced.
        is_in_doubt: Whether a store write has ended without an answer: it may have been done, or be done later.
        is_undoing: Whether it puts something back, which its deadline must not cut.
    """

    __slots__ = (
        "_cut", "_done", "_leaving", "_outer", "_task", "_timer", "_watchers", "deadline", "doing", "error", "holder",
        "is_committed", "is_in_doubt", "is_quiet", "is_undoing", "note", "result", "returns_at_commit",
    )  # fmt: skip

    def __init__(self, deadline: float, *, returns_at_commit: bool) -> None:
        self.deadline: float = deadline
        self.doing: Doing = "waiting"
        self.result: T | None = None
        self.error: Exception | None = None
        self.holder: object = None
        self.is_committed: bool = False
        self.returns_at_commit: bool = returns_at_commit
        self.note: MimiError | None = None
        self.is_quiet: bool = False
        self.is_in_doubt: bool = False
        self.is_undoing: bool = False
        self._outer = _holding(_inside.get())
        self._cut: MimiError | None = None
        self._leaving = False
        self._watchers: list[asyncio.Future[None]] | None = None
        self._done: asyncio.Future[None]
        self._task: asyncio.Task[None]
        self._timer: asyncio.TimerHandle

    def start(self, loop: asyncio.AbstractEventLoop, steps: "Steps[T]") -> "asyncio.Task[None]":
        """Run the steps as a task, until they end or the deadline cuts them."""
        self._done = loop.create_future()
        self._timer = loop.call_at(self.deadline, self._late)
        self._task = loop.create_task(self._run(steps))
        return self._task

    async def outcome(self) -> T:
        """Return what the turn came to; for its one caller.

        Raises:
            MimiError: It failed, ran late, or the core was left.
        """
        await self._done
        if self.error is not None:
            raise self.error
        return cast("T", self.result)

    async def committed(self) -> None:
        """Wait for the commit of somebody else's turn, without becoming a part of it."""
        if not self.is_committed:
            watcher = asyncio.get_running_loop().create_future()
            self._watchers = self._watchers or []
            self._watchers.append(watcher)
            await watcher

    def hold(self, holder: object) -> None:
        """Say whose lock the turn has reached.

        Raises:
            ServerTimeoutError: It is past the deadline: nothing may be asked any more.
        """
        if asyncio.get_running_loop().time() >= self.deadline:
            raise self._lateness()
        self.holder = holder
        _inside.set(self)

    def commit(self) -> None:
        """State that `result` and `error` are settled: who joined the turn goes on now."""
        self.holder, self.doing = None, "telling"
        _inside.set(self._outer)  # else turn, task and context would hold one another, for the collector to find
        self._settle()
        if self.returns_at_commit:
            self._return()

    async def keep(self, write: Awaitable[T]) -> T:
        """Await a store write, which leaving the core does not cut short."""
        self.doing = "keeping"
        try:
            kept = await write
        except (StoreUnavailableError, ConfigurationError, asyncio.CancelledError):
            self.is_in_doubt = True
            raise
        finally:
            self.doing = "asking the store"
        if self._leaving:
            raise asyncio.CancelledError
        return kept

    def cut_short(self) -> MimiError | None:
        """After a cancellation: return why the deadline cut the turn, so that it goes on and says so; None to end."""
        if self._cut is None or self._leaving:
            return None
        self._task.uncancel()
        cut, self._cut = self._cut, None
        return cut

    def leave(self) -> None:
        """End it because the core is left; a store write is awaited first."""
        self._leaving = True
        if self.doing != "keeping":
            self._task.cancel()

    def end(self) -> None:
        """State that it runs no more; whoever waits goes on."""
        if not self.is_committed and self.error is None:
            self.error = NotStartedError("the core was left; what is stored tells how to go on")
        self._timer.cancel()
        self.holder = None
        self._settle()
        self._return()

    async def _run(self, steps: "Steps[T]") -> None:
        try:
            await steps(self)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller, who raises it
            self.error = error
        except asyncio.CancelledError:
            if not self.is_committed:
                self.error = self._cut
        self.end()

    def _settle(self) -> None:
        self.is_committed = True
        for watcher in self._watchers or ():
            if not watcher.done():
                watcher.set_result(None)
        self._watchers = None

    def _return(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _late(self) -> None:
        if not self.is_committed:
            late = self.error = self._lateness()
            if not self.is_undoing:
                self._cut = late
                self._task.cancel()
        self._return()

    def _lateness(self) -> MimiError:
        match self.doing:
            case "asking the store":
                return StoreUnavailableError("the store did not answer by the deadline; what it holds was kept")
            case "keeping":
                return StoreUnavailableError("the store did not answer by the deadline; whether it wrote is not known")
            case "asking known_id":
                return StoreUnavailableError("known_id did not answer by the deadline: it is not known who the user is")
            case "asking the server":
                return ServerTimeoutError("the server did not answer by the deadline; what is stored was kept")
            case _:
                return ServerTimeoutError("the calls before this one took until its deadline; nothing was asked")

    def is_inside(self, holder: object) -> bool:
        """Tell whether this turn, or the one it was called from, holds the lock of `holder`."""
        return self.holder is holder or (self._outer is not None and self._outer.is_inside(holder))

    @property
    def outer(self) -> "Turn[Any] | None":
        """The turn that it was called from."""
        return self._outer


def _holding(turn: Turn[Any] | None) -> Turn[Any] | None:
    """The nearest turn outwards that holds a lock; those that have ended are let go."""
    while turn is not None and turn.holder is None:
        turn = turn.outer
    return turn


def is_inside_turn() -> bool:
    """Whether this runs inside a turn: in a known_id, a store or a send."""
    return _inside.get() is not None


def refuse_inside(holder: object) -> None:
    """Refuse a call that would wait for the turn it is made from.

    Raises:
        ConfigurationError: The caller runs inside a turn of `holder`: in its known_id, store or send.
    """
    turn = _inside.get()
    if turn is not None and turn.is_inside(holder):
        msg = "a call on a controller from within its own known_id, store or send would wait for itself: move it out"
        raise ConfigurationError(msg)
