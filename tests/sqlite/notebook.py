"""A database of notes, small enough to see through."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from mimi_async.sqlite import Database, Schema

NOTEBOOK = Schema(
    purpose="notebook",
    application_id=0x4E4F5445,
    version=1,
    statements=("CREATE TABLE notes (name TEXT NOT NULL PRIMARY KEY, text TEXT) WITHOUT ROWID",),
)

Work = Callable[[sqlite3.Connection], str]


class RefusedError(Exception):
    """What a work raises that wants to go wrong."""


def note(name: str) -> Work:
    """Return a work that writes one note."""

    def work(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO notes VALUES (?, ?)", (name, "x" * 100))
        return name

    return work


def note_and_fail(name: str) -> Work:
    """Return a work that writes one note and then goes wrong."""

    def work(connection: sqlite3.Connection) -> str:
        note(name)(connection)
        raise RefusedError(name)

    return work


def names(connection: sqlite3.Connection) -> list[str]:
    """Read the names of all notes."""
    return [name for (name,) in connection.execute("SELECT name FROM notes ORDER BY name")]


@asynccontextmanager
async def gathering(database: Database) -> AsyncIterator[None]:
    """Hold the thread of the database in a read, so that all that is asked meanwhile becomes one batch."""
    held, go_on = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        held.set()
        go_on.wait(30)

    holding = asyncio.ensure_future(database.read(hold))
    await asyncio.to_thread(held.wait, 30)
    try:
        yield
        await asyncio.sleep(0)  # lets the tasks that were made meanwhile ask
    finally:
        go_on.set()
        await holding
