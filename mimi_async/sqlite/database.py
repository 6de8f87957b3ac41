"""The database as coroutines see it."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar, cast

from ..errors import ConfigurationError, StoreUnavailableError
from .files import Schema, connected, translated
from .worker import Batch, Job, Jobs, serve

_T = TypeVar("_T")


class Database:
    """A SQLite file, for one event loop of one process. Entered as often as it is left; the last leaving closes it.

    Args:
        path: The file. It is made with mode 0600, in a folder made with 0700; a folder that others may write to, a
            symlink and a foreign owner are refused.
        schema: What the file must be.
    """

    def __init__(self, path: str | os.PathLike[str], schema: Schema) -> None:
        self.path = Path(path)
        self._schema = schema
        self._entries = 0
        self._door = asyncio.Lock()
        self._jobs: Jobs = Jobs()
        self._closed: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid: int | None = None

    async def open(self) -> None:
        """Open the file, or count one more entry.

        Raises:
            ConfigurationError: The path is no place for the file, it is another program's, or a newer version's.
            StoreCorruptError: It can't be read.
            StoreUnavailableError: It can't be opened.
        """
        if self._entries == 0:
            self._door, self._loop, self._pid = asyncio.Lock(), asyncio.get_running_loop(), os.getpid()
        self._check_home()
        self._entries += 1
        try:
            async with self._door:
                if self._closed is None:
                    await self._start()
        except BaseException:
            self._entries -= 1
            raise

    async def close(self) -> None:
        """Count one entry less; at the last, wait for what was asked and close the file."""
        self._check_home()
        self._entries -= 1
        async with self._door:
            if self._entries == 0 and self._closed is not None:
                closed, self._closed = self._closed, None
                self._jobs.put(None)
                await closed

    async def read(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run a function that only reads.

        Raises:
            StoreCorruptError: SQLite found the file damaged.
            StoreUnavailableError: SQLite could not.
        """
        return await self._do(work, writes=False)

    async def write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run a function in a transaction; what it wrote is durable when this returns. It may be run twice.

        A caller that is cancelled has asked all the same: the write goes on.

        Raises:
            StoreCorruptError: SQLite found the file damaged; nothing was written.
            StoreUnavailableError: SQLite could not; nothing was written.
        """
        return await self._do(work, writes=True)

    async def _do(self, work: Callable[[sqlite3.Connection], _T], *, writes: bool) -> _T:
        self._check_home()
        if self._loop is None or self._closed is None:
            msg = f"the {self._schema.purpose} {self.path} is not open"
            raise StoreUnavailableError(msg)
        job = Job(work, self._loop.create_future(), writes=writes)
        self._jobs.put(cast("Job[object]", job))
        await job.done
        if job.error is not None:
            raise self._translated(job.error)
        return job.result

    async def _start(self) -> None:
        loop, self._jobs = asyncio.get_running_loop(), Jobs()
        opened = Job(lambda _: connected(self.path, self._schema), loop.create_future())
        closed: asyncio.Future[None] = loop.create_future()
        name = f"mimi-sqlite-{self.path.name}"
        thread = threading.Thread(target=self._live, args=(loop, opened, self._jobs, closed), name=name, daemon=True)
        thread.start()
        try:
            await opened.done
        except asyncio.CancelledError:
            self._jobs.put(None)
            raise
        if opened.error is not None:
            raise self._translated(opened.error)
        self._closed = closed

    def _live(
        self,
        loop: asyncio.AbstractEventLoop,
        opened: Job[sqlite3.Connection],
        jobs: Jobs,
        closed: "asyncio.Future[None]",
    ) -> None:
        """The life of the thread."""

        def tell(batch: Batch | Job[sqlite3.Connection] | Job[None]) -> None:
            with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
                loop.call_soon_threadsafe(batch.settle)

        went_well = opened.run(cast("sqlite3.Connection", None))
        tell(opened)
        if went_well:
            try:
                serve(opened.result, jobs, tell)
            finally:
                opened.result.close()
                tell(Job(lambda _: None, closed))

    def _check_home(self) -> None:
        if self._pid is not None and self._pid != os.getpid():
            msg = f"{self.path} was opened before the process forked: open one of its own in each process"
            raise ConfigurationError(msg)
        if self._entries and self._loop is not asyncio.get_running_loop():
            msg = f"{self.path} is open in another event loop: use one for each loop"
            raise ConfigurationError(msg)

    def _translated(self, error: BaseException) -> BaseException:
        if isinstance(error, sqlite3.Error):
            return translated(error, self._schema.purpose, self.path)
        return error
