"""Turns: the owner of all that is under way in one core."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from ..errors import ConfigurationError, NotStartedError, described
from .turn import Steps, Turn

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Turns:
    """The owner of every task of one core: its turns, and what they leave to be delivered.

    Args:
        grace: Seconds that running turns get when the core is left; may be changed until then.
    """

    def __init__(self, *, grace: float = 5.0) -> None:
        self.is_open: bool = False
        self.grace = grace
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turns: dict[asyncio.Task[None], Turn[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Belong to the running loop from now on."""
        self._loop, self.is_open = asyncio.get_running_loop(), True

    def check_open(self) -> None:
        """Refuse a call that comes at the wrong time or from the wrong place.

        Raises:
            NotStartedError: The core was not entered yet, or was left.
            ConfigurationError: This is another event loop.
        """
        if not self.is_open:
            when = "was left" if self._loop else "was not entered yet"
            msg = f"the core {when}: make calls inside `async with core`"
            raise NotStartedError(msg)
        if asyncio.get_running_loop() is not self._loop:
            msg = "the core belongs to another event loop: use one core for each loop, and for each process"
            raise ConfigurationError(msg)

    def start(self, turn: Turn[_T], steps: "Steps[_T]") -> None:
        """Run a turn as a task of the core's."""
        task = turn.start(asyncio.get_running_loop(), steps)
        self._turns[task] = turn
        task.add_done_callback(self._ended)

    def own(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run other work as a task of the core's: when the core is left, it gets the grace, then it is cancelled."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """End everything: what waits for a lock at once, what runs after a grace, store writes at their deadline."""
        self.is_open = False
        for turn in list(self._turns.values()):
            if turn.doing == "waiting":
                turn.leave()
        try:
            await self._ends(self.grace)
        finally:  # also when leaving is cancelled itself: nothing may outlive its core
            for task in self._tasks:
                task.cancel()
            for turn in list(self._turns.values()):
                turn.leave()
        now = asyncio.get_running_loop().time()
        writing = [turn.deadline - now for turn in self._turns.values() if turn.doing == "keeping"]
        await self._ends(max(writing, default=1.0))
        for task in (*self._turns, *self._tasks):
            task.cancel()
            _log.warning("a task swallows its cancellation and was abandoned when the core was left")

    async def _ends(self, seconds: float) -> None:
        tasks = {*self._turns, *self._tasks}
        if tasks:
            await asyncio.wait(tasks, timeout=max(seconds, 0.1))

    def _ended(self, task: "asyncio.Task[None]") -> None:
        turn = self._turns.pop(task, None)
        if turn is not None:
            turn.end()
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a task of the core failed: %s", described(error))
