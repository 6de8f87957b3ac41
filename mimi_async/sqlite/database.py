"""The database as coroutines see it."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar, cast

import attrs

from ..errors import ConfigurationError, StoreUnavailableError
from .files import File, Schema, translated
from .worker import Job, Jobs, serve

_T = TypeVar("_T")


@attrs.frozen(eq=False)
class _Life:
    """What ends with the thread: the loop it answers to, what it has to do, and the news that it is over."""

    loop: asyncio.AbstractEventLoop
    opened: Job[File]
    jobs: Jobs
    closed: "asyncio.Future[None]"

    def tell(self, news: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            self.loop.call_soon_threadsafe(news)

    def live(self) -> None:
        """Run in the thread."""
        went_well = self.opened.run(cast("sqlite3.Connection", None))
        self.tell(self.opened.settle)
        if went_well:
            file = self.opened.result
            try:
                serve(file.connection, self.jobs, file.check, lambda batch: self.tell(batch.settle))
            finally:
                file.close()
                self.tell(Job(lambda _: None, self.closed).settle)


class Database:
    """A SQLite file, for one event loop of one process. Entered as often as it is left; the last leaving closes it.

    Args:
        path: The file. It is made with mode 0600, in a folder made with 0700; a folder that others may write to, a
            symlink and a foreign owner are refused.
        schema: What the file must be.
    """

    def __init__(self, path: str | os.PathLike[str], schema: Schema) -> None:
        self.path: Path = Path(path).absolute()
        self._schema = schema
        self._entries = 0
        self._door = asyncio.Lock()
        self._life: _Life | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid: int | None = None

    async def open(self) -> None:
        """Open the file, or count one more entry.

        Raises:
            ConfigurationError: The path is no place for the file, it is another program's, or a newer version's.
            StoreCorruptError: It can't be read.
            StoreUnavailableError: It can't be opened.
        """
        if self._loop is not None and self._loop.is_closed():
            self._abandon()
        self._check_home()
        if self._loop is not asyncio.get_running_loop() or self._pid != os.getpid():
            self._door, self._loop, self._pid = asyncio.Lock(), asyncio.get_running_loop(), os.getpid()
        self._entries += 1
        try:
            async with self._door:
                if self._life is None:
                    self._life = await self._started()
        except BaseException:
            self._leave()
            raise

    async def close(self) -> None:
        """Count one entry less; at the last, wait for what was asked and close the file.

        A caller that is cancelled has closed all the same: the file follows.
        """
        self._check_home()
        ended = self._leave()
        if ended is not None:
            await ended.closed

    async def read(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run a function that only reads.

        Raises:
            StoreCorruptError: SQLite found the file damaged.
            StoreUnavailableError: SQLite could not.
        """
        return await self._do(work, writes=False)

    async def write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run a function in a transaction; what it wrote is durable when this returns. It may be run twice.

        A caller that is cancelled has asked all the same: the write goes on. Where the function raises, nothing that
        it wrote is kept.

        Raises:
            StoreCorruptError: SQLite found the file damaged; nothing was written.
            StoreUnavailableError: SQLite could not. Nothing that was written can be read; where it was the commit
                that failed, a crash may bring it back.
        """
        return await self._do(work, writes=True)

    async def _do(self, work: Callable[[sqlite3.Connection], _T], *, writes: bool) -> _T:
        self._check_home()
        life = self._life
        if life is None:
            msg = f"the {self._schema.purpose} {self.path} is not open"
            raise StoreUnavailableError(msg)
        job = Job(work, life.loop.create_future(), writes=writes)
        life.jobs.put(cast("Job[object]", job))
        await job.done
        if job.error is not None:
            raise self._translated(job.error)
        return job.result

    async def _started(self) -> _Life:
        loop = asyncio.get_running_loop()
        opened = Job(lambda _: File(self.path, self._schema), loop.create_future())
        life = _Life(loop, opened, Jobs(), loop.create_future())
        threading.Thread(target=life.live, name=f"mimi-sqlite-{self.path.name}", daemon=True).start()
        try:
            await opened.done
        except asyncio.CancelledError:
            life.jobs.put(None)
            raise
        if opened.error is not None:
            raise self._translated(opened.error)
        return life

    def _leave(self) -> _Life | None:
        """Count one entry less; return the life that ends with it, if it was the last."""
        self._entries -= 1
        if self._entries or self._life is None:
            return None
        ended, self._life = self._life, None
        ended.jobs.put(None)
        return ended

    def _abandon(self) -> None:
        """Let go of what was left open in a loop that is gone."""
        self._entries = min(self._entries, 1)
        self._leave()
        self._entries = 0

    def _check_home(self) -> None:
        if not self._entries:
            return
        if self._pid != os.getpid():
            msg = f"{self.path} was opened before the process forked: open one of its own in each process"
            raise ConfigurationError(msg)
        if self._loop is not asyncio.get_running_loop():
            msg = f"{self.path} is open in another event loop: use one for each loop"
            raise ConfigurationError(msg)

    def _translated(self, error: BaseException) -> BaseException:
        if isinstance(error, (sqlite3.Error, UnicodeDecodeError)):
            return translated(error, self._schema.purpose, self.path)
        return error
