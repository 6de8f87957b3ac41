"""A small schema of one table."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mimi_async.databases.postgres import Database, Schema, Source

TABLE = "CREATE TABLE IF NOT EXISTS {schema}.numbers (number integer NOT NULL PRIMARY KEY)"
NUMBERS = Schema("numbers", "box of numbers", 1, (TABLE,), "create them with create=True")
INSERT = "INSERT INTO numbers.numbers VALUES ($1)"
COUNT = "SELECT count(*) FROM numbers.numbers"


@asynccontextmanager
async def open_numbers(source: Source, **settings: Any) -> AsyncIterator[Database]:
    """Open a database with its table, and close it at the end."""
    database = Database(source, NUMBERS, **settings)
    await database.open(create=True)
    try:
        yield database
    finally:
        await database.close()
