"""The SQLite store, held to the contract of all stores, and what is its own."""

import sqlite3
from contextlib import closing
from pathlib import Path

from mimi_async.stores import IdentityStore, SQLiteStore
from mimi_async.testing.store_contract import StoreContract


class TestSQLiteStore(StoreContract):
    def make_store(self, place: Path) -> IdentityStore:
        return SQLiteStore(place / "ids.sqlite3")

    def damage(self, place: Path, account: str) -> None:
        with closing(sqlite3.connect(place / "ids.sqlite3", isolation_level=None)) as connection:
            connection.execute("UPDATE identities SET secret = 'gone' WHERE account = ?", (account,))
