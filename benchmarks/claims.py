"""Durable claims: the first write of a creation."""

import asyncio
import itertools
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

from mimi_async.secret import CreateKey
from mimi_async.stores import SQLiteStore, StoredIdentity

from .accounts import at_once
from .harness import Batch, Line, Scale, alternate

_TABLE = """CREATE TABLE identities (account TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL, secret TEXT NOT NULL,
user_id TEXT, revision BLOB NOT NULL, changed_at REAL NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID"""
_CLAIM = "INSERT INTO identities VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account) DO NOTHING"


async def claims(scale: Scale) -> AsyncIterator[Line]:
    """Claims per second, 64 concurrent, each durable when it returns."""
    import aiosqlite as _  # noqa: F401 - a missing baseline skips the row before it takes time

    with tempfile.TemporaryDirectory() as folder:
        files = (Path(folder, f"{number}.sqlite3") for number in itertools.count())
        records = {
            f"account-{number}": StoredIdentity.pending(CreateKey.generate()) for number in range(scale.of(20_000))
        }
        few = dict(itertools.islice(records.items(), scale.of(2_000)))
        ours, theirs = await alternate(partial(_claim, files, records), partial(_insert, files, few), scale)
    yield Line(
        what="durable claims/s, SQLite store, 64 at once",
        against="aiosqlite, a lock, FULL",
        ours=ours,
        theirs=theirs,
        goal=15,
        moonshot=35,
        kind="rate",
    )


async def _claim(files: Iterator[Path], records: dict[str, StoredIdentity]) -> Batch:
    async with SQLiteStore(next(files)) as store:
        return await at_once(lambda account: store.claim(account, records[account]), records)


async def _insert(files: Iterator[Path], records: dict[str, StoredIdentity]) -> Batch:
    # The same table, pragmas and statement. The lock is needed: with one connection, the commit of one caller would
    # commit the half-done work of another. aiosqlite has no batches: sharing a commit is what a good engineer does not
    # write in the first version. The rows are built before the clock starts, ours within it.
    import aiosqlite

    lock = asyncio.Lock()
    rows = {account: _row(account, record) for account, record in records.items()}
    async with aiosqlite.connect(next(files)) as connection:
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA secure_delete=ON", _TABLE):
            await connection.execute(statement)

        async def insert(account: str) -> None:
            async with lock:
                await connection.execute(_CLAIM, rows[account])
                await connection.commit()

        return await at_once(insert, rows)


def _row(account: str, record: StoredIdentity) -> tuple[object, ...]:
    digest = zlib.crc32(account.encode()).to_bytes(8, "big")
    return (account, record.state, record.secret.reveal(), None, record.revision, record.changed_at, digest)
