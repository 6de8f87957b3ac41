"""The owner of the operations and tasks of one core."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from ..entry import Entry
from ..errors import NotStartedError, describe_exception
from ..timeouts import Timeouts
from .operation import Body, Operation

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class OperationSupervisor:
    """Owns every task of one core: its operations, and its background tasks and deliveries."""

    def __init__(self, entry: Entry | None = None) -> None:
        self.is_open: bool = False
        self.entry: Entry = entry or Entry(Timeouts())
        self._was_open = False
        self._operations: dict[asyncio.Task[None], Operation[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_idle(self) -> bool:
        """Whether no operation and no other task runs."""
        return not self._operations and not self._tasks

    @property
    def operations(self) -> list[Operation[Any]]:
        """The operations that wait or run."""
        return list(self._operations.values())

    def open(self) -> None:
        """Accept calls from now on, in the event loop of the core."""
        self.is_open = self._was_open = True

    def check_open(self) -> None:
        """Raise a `NotStartedError` outside `async with core`, a `ConfigurationError` in another event loop."""
        self.entry.home.check()
        if not self.is_open:
            raise self._not_started()

    def check_known(self) -> None:
        """Raise a `NotStartedError` outside `async with core`. While it starts, the user becomes known soon."""
        if not self.is_open and (self._was_open or not self.entry.home.entries):
            raise self._not_started()

    def _not_started(self) -> NotStartedError:
        when = "was left" if self._was_open else "has not started" if self.entry.home.entries else "was not entered yet"
        return NotStartedError(f"the core {when}: make calls inside `async with core`")

    def submit(self, operation: Operation[_T], body: "Body[_T]") -> None:
        """Run an operation as a task."""
        task = operation.start(asyncio.get_running_loop(), body)
        self._operations[task] = operation
        task.add_done_callback(self._remove)

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run other work as a task. It is cancelled `Timeouts.shutdown` seconds after the core is left."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._remove)
        return task

    async def close(self) -> None:
        """End all tasks: waiting ones at once, running ones after `Timeouts.shutdown`, writes at their deadline."""
        self.is_open = False
        for operation in self.operations:
            if operation.stage == "waiting":
                operation.leave()
        try:
            await self._wait(self.entry.timeouts.shutdown)
        finally:  # also when leaving is cancelled itself: no task may outlive its core
            for task in self._tasks:
                task.cancel()
            for operation in self.operations:
                operation.leave()
        now = asyncio.get_running_loop().time()
        writing = [operation.deadline - now for operation in self.operations if operation.stage == "writing"]
        await self._wait(max(writing, default=self.entry.timeouts.shutdown_cancel))
        for task in (*self._operations, *self._tasks):
            task.cancel()
            _log.warning("a task swallows its cancellation and was abandoned when the core was left")

    async def _wait(self, seconds: float) -> None:
        tasks = {*self._operations, *self._tasks}
        if tasks:
            await asyncio.wait(tasks, timeout=max(seconds, 0.1))

    def _remove(self, task: "asyncio.Task[None]") -> None:
        operation = self._operations.pop(task, None)
        if operation is not None:
            operation.finish()
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a task of the core failed: %s", describe_exception(error))
