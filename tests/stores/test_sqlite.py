"""The SQLite store, held to the contract of all stores, and what is its own."""

import sqlite3
from contextlib import closing
from pathlib import Path

from mimi_async.stores import IdentityStore, SQLiteStore
from mimi_async.testing.store_contract import StoreContract
from mimi_async.testing.store_contract_base import fresh_active


class TestSQLiteStore(StoreContract):
    def make_store(self, folder: Path) -> IdentityStore:
        return SQLiteStore(folder / "ids.sqlite3")

    def damage(self, folder: Path, account: str) -> None:
        with closing(sqlite3.connect(folder / "ids.sqlite3", isolation_level=None)) as connection:
            connection.execute("UPDATE identities SET secret = 'gone' WHERE account = ?", (account,))


async def test_what_was_forgotten_is_wiped_from_the_file(path: Path) -> None:
    async with SQLiteStore(path) as store:
        record = await store.claim("a", fresh_active())
        await store.forget("a", record)
    assert record.secret.reveal().encode() not in path.read_bytes()
    assert not Path(f"{path}-wal").exists()
