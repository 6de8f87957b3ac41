"""The thread that owns the connection: it takes all jobs that have gathered, and commits once for them."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")

_MOST_AT_ONCE = 1024


class Job(Generic[T]):
    """Work for the thread, and its outcome.

    asyncio's debug mode logs the arguments of callbacks and the results of futures: what crosses the border between
    the threads is an object whose repr shows nothing.
    """

    __slots__ = ("done", "error", "result", "work", "writes")

    def __init__(
        self, work: Callable[[sqlite3.Connection], T], done: "asyncio.Future[None]", *, writes: bool = False
    ) -> None:
        self.work: Callable[[sqlite3.Connection], T] = work
        self.done: asyncio.Future[None] = done
        self.writes: bool = writes
        self.result: T
        self.error: BaseException | None = None

    def run(self, connection: sqlite3.Connection) -> bool:
        """Do the work and keep what came of it; tell whether it went well."""
        try:
            self.result = self.work(connection)
        except BaseException as error:  # noqa: BLE001 - whatever the work raises belongs to its caller, not to the thread
            self.error = error.with_traceback(None)
        else:
            self.error = None
        return self.error is None

    def settle(self) -> None:
        """Wake the caller; runs in its loop."""
        if not self.done.done():
            self.done.set_result(None)


Jobs = SimpleQueue[Job[object] | None]


def serve(
    connection: sqlite3.Connection, jobs: Jobs, check: Callable[[], None], tell: Callable[["Batch"], None]
) -> None:
    """Do jobs until None comes.

    Args:
        connection: Belongs to this thread.
        jobs: Where they come from.
        check: Raises a `sqlite3.Error` where what was done does not count; asked before anybody is told.
        tell: Hands the finished ones back to their loop.
    """
    while True:
        batch = Batch(jobs)
        batch.run(connection)
        try:
            check()
        except sqlite3.Error as error:
            batch.fail(error)
        tell(batch)
        if batch.is_last:
            return


class Batch:
    """The jobs that have gathered: they are done, committed and settled together."""

    __slots__ = ("is_last", "jobs")

    def __init__(self, queue: Jobs) -> None:
        self.jobs: list[Job[object]] = []
        job = queue.get()
        with suppress(Empty):
            while job is not None:
                self.jobs.append(job)
                job = queue.get_nowait() if len(self.jobs) < _MOST_AT_ONCE else _nothing_more()
        self.is_last: bool = job is None

    def run(self, connection: sqlite3.Connection) -> None:
        """Do all in one transaction; if one goes wrong, all once more, so that none is hurt by another.

        Where SQLite refuses the transaction, those that write have failed: trying each alone would only wait longer.
        """
        reading = self.jobs
        if any(job.writes for job in self.jobs):
            try:
                if _committed(connection, self.jobs, _do) or _committed(connection, self.jobs, _do_apart):
                    return
            except Exception as error:  # noqa: BLE001 - were the thread to end, all would wait for ever
                if connection.in_transaction:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                self.fail(error)
            reading = [job for job in self.jobs if not job.writes]
        for job in reading:
            job.run(connection)

    def fail(self, error: Exception) -> None:
        """Let all have failed: those that went wrong by themselves, with what they met."""
        for job in self.jobs:
            job.error = job.error or error.with_traceback(None)

    def settle(self) -> None:
        """Wake the callers; runs in their loop."""
        for job in self.jobs:
            job.settle()


def _committed(
    connection: sqlite3.Connection,
    jobs: list[Job[object]],
    do: Callable[[sqlite3.Connection, Job[object]], bool],
) -> bool:
    """Do the jobs in one transaction; False, with nothing written, if `do` gave it up."""
    connection.execute("BEGIN IMMEDIATE")
    went_well = all(do(connection, job) for job in jobs)
    if went_well or connection.in_transaction:  # a full disk may have ended the transaction by itself
        connection.execute("COMMIT" if went_well else "ROLLBACK")
    return went_well


def _do(connection: sqlite3.Connection, job: Job[object]) -> bool:
    return job.run(connection) or not job.writes


def _do_apart(connection: sqlite3.Connection, job: Job[object]) -> bool:
    connection.execute("SAVEPOINT job")
    if not job.run(connection):
        if isinstance(job.error, sqlite3.Error) and not connection.in_transaction:
            raise job.error  # a full disk has ended the transaction for all
        connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")
    return True


def _nothing_more() -> Job[object] | None:
    raise Empty
