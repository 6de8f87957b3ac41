"""Durable claims: the write that a user's creation begins with."""

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

from mimi_async.identity import CreateKey
from mimi_async.stores import SQLiteStore, StoredIdentity

from .accounts import at_once
from .harness import Line, Scale, in_turn

_TABLE = """CREATE TABLE identities (account TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL, secret TEXT NOT NULL,
user_id TEXT, revision BLOB NOT NULL, changed_at REAL NOT NULL) WITHOUT ROWID"""
_CLAIM = "INSERT INTO identities VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (account) DO NOTHING"


async def claims(scale: Scale) -> AsyncIterator[Line]:
    """Claims in a second, 64 at once, each durable when it returns."""
    with tempfile.TemporaryDirectory() as folder:
        files = (Path(folder, f"{number}.sqlite3") for number in itertools.count())
        records = {f"account-{number}": StoredIdentity.pending(CreateKey.fresh()) for number in range(scale.of(20_000))}
        few = dict(itertools.islice(records.items(), scale.of(2_000)))
        ours, theirs = await in_turn(partial(_claim, files, records), partial(_insert, files, few), scale.pairs)
    yield Line(
        what="durable claims/s, SQLite store, 64 at once",
        against="aiosqlite, a lock, FULL",
        ours=ours,
        theirs=theirs,
        goal=15,
        moonshot=35,
        kind="rate",
    )


async def _claim(files: Iterator[Path], records: dict[str, StoredIdentity]) -> float:
    async with SQLiteStore(next(files)) as store:
        return await at_once(lambda account: store.claim(account, records[account]), records) / len(records)


async def _insert(files: Iterator[Path], records: dict[str, StoredIdentity]) -> float:
    import aiosqlite

    lock = asyncio.Lock()
    rows = {
        account: (account, record.state, record.secret.reveal(), None, record.revision, record.changed_at)
        for account, record in records.items()
    }
    async with aiosqlite.connect(next(files)) as connection:
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA secure_delete=ON", _TABLE):
            await connection.execute(statement)

        async def insert(account: str) -> None:
            async with lock:
                await connection.execute(_CLAIM, rows[account])
                await connection.commit()

        return await at_once(insert, rows) / len(rows)
