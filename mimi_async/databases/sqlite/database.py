"""A SQLite file with coroutines that read and write."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from ...errors import StoreCorruptError, StoreUnavailableError
from ..affinity import LoopAffinity, not_open
from ..dsn import Creation, validate_path
from .file import CHECKED_BYTES, File, Schema
from .worker import Worker

_T = TypeVar("_T")

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Database:
    """A SQLite file, for one event loop of one process. Entries are counted; the last `close` closes the file.

    Args:
        path: The file. It is created with mode 0600, in a folder created with 0700; a folder that others may write to,
            a symlink and a foreign owner are refused.
        schema: What the file must be.
        creation: What is created where the file is missing. A new file is logged at WARNING, with its path.
        busy_timeout: Seconds that SQLite waits for another process that writes.
        timeout: Seconds that a caller waits for a read or a write, None without a limit.
        checked_bytes: A file of up to so many bytes is checked as a whole at the opening: about 2 ms for each MiB.

    Raises:
        ConfigurationError: The path is nearly right: see `validate_path`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        schema: Schema,
        creation: Creation = "file",
        *,
        busy_timeout: float = 5.0,
        timeout: float | None = None,
        checked_bytes: int = CHECKED_BYTES,
    ) -> None:
        self.path: Path = validate_path(path, schema.purpose)
        self._purpose = schema.purpose
        self._open_file = partial(
            File, self.path, schema, creation, busy_timeout=busy_timeout, checked_bytes=checked_bytes
        )
        self._timeout = timeout
        self._affinity = LoopAffinity(str(self.path))
        self._lock = asyncio.Lock()
        self._worker: Worker | None = None

    async def open(self) -> None:
        """Open the file, or count one more entry.

        Raises:
            ConfigurationError: The path may not hold the file, or the file is another program's, or a newer version's.
            StoreCorruptError: The file can't be read.
            StoreUnavailableError: The file can't be opened.
        """
        if self._affinity.enter():
            self._end_worker()  # of a loop that was closed with the file open
            self._lock = asyncio.Lock()
        try:
            async with self._lock:
                if self._worker is None:
                    self._worker = await self._start_worker()
        except BaseException:
            self._leave()
            raise

    async def close(self) -> None:
        """Count one entry less; at the last, wait for what was asked and close the file.

        Where the caller is cancelled, the file is closed nevertheless, in the thread.
        """
        worker = self._leave()
        if worker is not None:
            await worker.closing.done

    async def read(self, function: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return what a function that only reads returns. The functions of one pass of the event loop run together.

        Raises:
            StoreCorruptError: SQLite found the file damaged.
            StoreUnavailableError: SQLite could not, or the time limit has passed.
        """
        return await self._run(function, writes=False)

    async def write(self, function: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return what a function returns in a transaction; what it wrote is durable then. It may be called twice.

        The transaction may be shared with other functions. Where the caller is cancelled, the write goes on. Where the
        function raises, nothing that it wrote is kept.

        Raises:
            StoreCorruptError: SQLite found the file damaged; nothing was written.
            StoreUnavailableError: SQLite could not: nothing that was written can be read; where it was the commit
                that failed, a crash may bring it back. Or the time limit has passed, and the outcome is unknown.
        """
        return await self._run(function, writes=True)

    async def _run(self, function: Callable[[sqlite3.Connection], _T], *, writes: bool) -> _T:
        self._affinity.check()
        worker = self._worker
        if worker is None:
            what = f"the {self._purpose} {self.path}"
            raise not_open(what)
        job = worker.queue.submit(function, writes=writes)
        if not await job.done:
            msg = f"the {self._purpose} {self.path} did not answer within {self._timeout:g} s"
            raise StoreUnavailableError(msg)
        if job.error is not None:
            raise self._translate(job.error)
        return job.result

    async def _start_worker(self) -> Worker:
        worker = Worker(self._open_file, f"mimi-sqlite-{self.path.name}", self._timeout)
        opening = worker.opening
        try:
            await opening.done
        except asyncio.CancelledError:
            worker.queue.close()
            raise
        if opening.error is not None:
            raise self._translate(opening.error)
        return worker

    def _leave(self) -> Worker | None:
        """Count one entry less; return the worker that ends with it, if it was the last."""
        return self._end_worker() if self._affinity.leave() else None

    def _end_worker(self) -> Worker | None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.queue.close()
        return worker

    def _translate(self, error: BaseException) -> BaseException:
        """Return our error for one of SQLite's, whose text may quote a row, or for a text of SQLite's, not in UTF-8."""
        if not isinstance(error, (sqlite3.Error, UnicodeDecodeError)):
            return error
        what = f"the {self._purpose} {self.path}"
        code = getattr(error, "sqlite_errorcode", 0)
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        if isinstance(error, UnicodeDecodeError) or code & 0xFF in _CORRUPT:
            return StoreCorruptError(f"{what} can't be read ({name}); it was kept as it is: restore a backup")
        if code == sqlite3.SQLITE_READONLY_DBMOVED:
            return StoreUnavailableError(f"{what} was moved or replaced while it was open: open it again")
        return StoreUnavailableError(f"{what} does not answer ({name}); what it holds was kept")
