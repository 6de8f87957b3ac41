"""The thread that owns the connection: it runs all jobs that have gathered, and commits once for them."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from ..jobs import Job, JobQueue, settle_all
from .file import File

_Jobs = Sequence[Job[sqlite3.Connection, Any]]


class Worker:
    """A thread that opens a file, runs jobs on its connection until the queue is closed, and closes the file.

    Args:
        open_file: Opens the file; runs in the thread.
        name: The name of the thread.
        timeout: Seconds that the caller of a job waits, None without a limit.

    Attributes:
        opening: The job that opens the file. Where it fails, the thread ends.
        queue: The jobs for the thread.
        closing: The job that closes the file.
    """

    def __init__(self, open_file: Callable[[], File], name: str, timeout: float | None) -> None:
        loop = asyncio.get_running_loop()
        self.opening: Job[None, File] = Job(lambda _: open_file(), loop)
        self.queue: JobQueue[sqlite3.Connection] = JobQueue(timeout)
        self.closing: Job[File, None] = Job(File.close, loop)
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        is_open = self.opening.run(None)
        self.queue.call_loop(self.opening.settle)
        if is_open:
            file = self.opening.result
            try:
                self._serve(file)
            finally:
                self.closing.run(file)
                self.queue.call_loop(self.closing.settle)

    def _serve(self, file: File) -> None:
        while jobs := self.queue.take():
            run_jobs(file.connection, jobs)
            try:
                file.check()
            except sqlite3.Error as error:  # what was written does not count
                _fail(jobs, error)
            self.queue.call_loop(partial(settle_all, jobs))


def run_jobs(connection: sqlite3.Connection, jobs: _Jobs) -> None:
    """Run all jobs in one transaction; where one fails, run all again, each in a savepoint of its own.

    Where SQLite refuses the transaction, the jobs that write have failed: one transaction for each would wait longer.
    """
    reads = jobs
    if any(job.writes for job in jobs):
        try:
            if _commit(connection, jobs, _run_plainly) or _commit(connection, jobs, _run_in_savepoint):
                return
        except Exception as error:  # noqa: BLE001 - if the thread ended, every caller would wait without an end
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            _fail(jobs, error)
        reads = [job for job in jobs if not job.writes]
    for job in reads:
        job.run(connection)


def _fail(jobs: _Jobs, error: Exception) -> None:
    """Give the error to all jobs that have none of their own."""
    for job in jobs:
        job.error = job.error or error.with_traceback(None)


def _commit(
    connection: sqlite3.Connection, jobs: _Jobs, run: Callable[[sqlite3.Connection, Job[sqlite3.Connection, Any]], bool]
) -> bool:
    """Run the jobs in one transaction; return False, with nothing written, if one of them gave it up."""
    connection.execute("BEGIN IMMEDIATE")
    succeeded = all(run(connection, job) for job in jobs)
    if succeeded or connection.in_transaction:  # a full disk may have ended the transaction
        connection.execute("COMMIT" if succeeded else "ROLLBACK")
    return succeeded


def _run_plainly(connection: sqlite3.Connection, job: Job[sqlite3.Connection, Any]) -> bool:
    return job.run(connection) or not job.writes


def _run_in_savepoint(connection: sqlite3.Connection, job: Job[sqlite3.Connection, Any]) -> bool:
    connection.execute("SAVEPOINT job")
    if not job.run(connection):
        if isinstance(job.error, sqlite3.Error) and not connection.in_transaction:
            raise job.error  # a full disk has ended the transaction of all jobs
        connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")
    return True
