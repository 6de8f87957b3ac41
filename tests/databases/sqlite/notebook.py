"""A small database of notes."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mimi_async.databases.dsn import Creation
from mimi_async.databases.sqlite import Database, Schema

NOTEBOOK = Schema(
    purpose="notebook",
    application_id=0x4E4F5445,
    version=1,
    statements=("CREATE TABLE notes (name TEXT NOT NULL PRIMARY KEY, text TEXT) WITHOUT ROWID",),
)

Work = Callable[[sqlite3.Connection], str]


class RefusedError(Exception):
    """Raised by `note_and_fail`."""


def note(name: str) -> Work:
    """Return a function that writes one note."""

    def work(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO notes VALUES (?, ?)", (name, "x" * 100))
        return name

    return work


def note_and_fail(name: str) -> Work:
    """Return a function that writes one note and then fails."""

    def work(connection: sqlite3.Connection) -> str:
        note(name)(connection)
        raise RefusedError(name)

    return work


def names(connection: sqlite3.Connection) -> list[str]:
    """Read the names of all notes."""
    return [name for (name,) in connection.execute("SELECT name FROM notes ORDER BY name")]


@asynccontextmanager
async def open_notebook(
    path: Path | str, creation: Creation = "file", schema: Schema = NOTEBOOK, **settings: Any
) -> AsyncIterator[Database]:
    """Open a database of notes, and close it at the end."""
    database = Database(path, schema, creation, **settings)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def read_names(path: Path | str, creation: Creation = "file", schema: Schema = NOTEBOOK) -> list[str]:
    """Open a database, read the names of all notes, and close it."""
    async with open_notebook(path, creation, schema) as database:
        return await database.read(names)


@asynccontextmanager
async def gathering(database: Database) -> AsyncIterator[None]:
    """Hold the thread of the database in a read, so that all jobs that are submitted inside become one batch."""
    held, go_on = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        held.set()
        go_on.wait(30)

    holding = asyncio.ensure_future(database.read(hold))
    await asyncio.to_thread(held.wait, 30)
    try:
        yield
        await asyncio.sleep(0)  # lets the tasks that were created inside submit their jobs
    finally:
        go_on.set()
        await holding
