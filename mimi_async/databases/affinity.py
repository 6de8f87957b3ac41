"""Bind a resource to one event loop of one process while it is open."""

import asyncio
import os
import weakref
from collections.abc import Callable
from threading import get_ident

from ..errors import ConfigurationError, NotStartedError


class LoopAffinity:
    """Where a resource is open: one event loop of one process. Entries are counted.

    Args:
        what: The resource, for messages: "the identity store in PostgreSQL".

    Attributes:
        entries: How many entries have not been left yet.
        loop: The event loop of the last entry; None before the first entry.
        thread: The thread that runs this loop, 0 before the first entry. A call comes from the right loop if it comes
            from this thread and `is_running()`: that takes 0.1 µs, and `asyncio.get_running_loop()` 0.3 µs where a
            system call for the process id is slow.
        is_running: Whether the loop runs.

    Raises:
        ConfigurationError: By each method: the resource is open in another event loop or process.
    """

    __slots__ = ("__weakref__", "_pid", "entries", "is_running", "loop", "thread", "what")

    def __init__(self, what: str) -> None:
        self.what: str = what
        self.entries: int = 0
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread: int = 0
        self.is_running: Callable[[], bool] = bool
        self._pid: int | None = None

    def enter(self) -> bool:
        """Count one entry more; return whether it is the first, also after a loop that was closed with entries left."""
        if self.loop is not None and self.loop.is_closed():
            self.entries = 0
        self.check()
        self.loop, self._pid = asyncio.get_running_loop(), os.getpid()
        self.thread, self.is_running = get_ident(), self.loop.is_running
        _affinities.add(self)
        self.entries += 1
        return self.entries == 1

    def leave(self) -> bool:
        """Count one entry less; return whether it was the last."""
        self.check()
        self.entries -= 1
        return self.entries == 0

    def check(self) -> None:
        """Refuse a call from another event loop, thread or process, while the resource is open."""
        if not self.entries or (get_ident() == self.thread and self.is_running()) or self.loop is _running_loop():
            return
        self.bind_process()
        msg = f"{self.what} is open in another event loop: use one for each loop"
        raise ConfigurationError(msg)

    def bind_process(self) -> None:
        """Bind the resource to the process of the first call, open or not: for a resource that is used unopened."""
        if self._pid is None:
            self._pid = os.getpid()
        if self._pid != os.getpid():
            msg = f"{self.what} was used before the process forked: create one in each process"
            raise ConfigurationError(msg)


_affinities: weakref.WeakSet[LoopAffinity] = weakref.WeakSet()


def _forget_threads() -> None:
    """Forget the threads of the parent in a forked child, whose thread has the same id and whose loop seems to run."""
    for affinity in tuple(_affinities):
        affinity.thread = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def not_open(what: str) -> NotStartedError:
    """Return the error for a resource that is used outside its `async with`."""
    return NotStartedError(f"{what} is not open: use it inside `async with`; a core enters its store")


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread; None where none runs, and in a forked child."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
