"""Records in a SQLite file: any number of processes of one machine may share it."""

import os
import sqlite3
import time
import zlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from ..errors import StoreCorruptError
from ..sqlite import Database, Schema
from .base import DamagedIdentity, IdentityStore, StoredIdentity
from .rows import read_row

_SCHEMA = Schema(
    purpose="identity store",
    application_id=0x4D494D49,  # "MIMI"
    version=1,
    statements=(
        """CREATE TABLE identities (account TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL, secret TEXT NOT NULL,
        user_id TEXT, revision BLOB NOT NULL, changed_at REAL NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID""",
        "CREATE TABLE set_aside (account, state, secret, user_id, revision, changed_at, digest, set_aside_at)",
    ),
)

_SELECT = "SELECT state, secret, user_id, revision, changed_at, digest FROM identities WHERE account = ?"
_BESIDE = """
SELECT * FROM (SELECT account, digest FROM identities WHERE account < ?1 ORDER BY account DESC LIMIT 1) UNION ALL
SELECT * FROM (SELECT account, digest FROM identities WHERE account > ?1 ORDER BY account LIMIT 1)"""
_VALUES = "INTO identities VALUES (?, ?, ?, ?, ?, ?, ?)"
_CLAIM = f"INSERT {_VALUES} ON CONFLICT (account) DO NOTHING"
_WRITE = f"INSERT OR REPLACE {_VALUES}"
_DELETE = "DELETE FROM identities WHERE account = ?"
_SET_ASIDE = "INSERT INTO set_aside SELECT *, ? FROM identities WHERE account = ?"

_ACCOUNTS = "SELECT account FROM identities WHERE account > ? ORDER BY account LIMIT ?"

_PAGE = 1_000

_Row = tuple[Any, ...]


class SQLiteStore(IdentityStore):
    """Keeps the records in one SQLite file. A change is on the disk when its verb returns.

    Args:
        path: The file. It is made with mode 0600, in a folder made with 0700. A folder that others may write to, a
            symlink and a file of another owner are refused when the store is entered.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._database = Database(path, _SCHEMA)

    @property
    def path(self) -> Path:
        """The file, which is made when the store is entered for the first time."""
        return self._database.path

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self.path)!r})"

    async def __aenter__(self) -> Self:
        await self._database.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._database.close()

    async def load(self, account: str) -> StoredIdentity | None:
        return await self._database.read(lambda connection: _stored(connection, account))

    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        def work(connection: sqlite3.Connection) -> StoredIdentity:
            if connection.execute(_CLAIM, _row(account, record)).rowcount == 0:
                return _stored(connection, account) or record
            _check_absence(connection, account)
            return record

        return await self._database.write(work)

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        def work(connection: sqlite3.Connection) -> StoredIdentity | None:
            found = _stored(connection, account)
            if _revision(found) != _revision(expected):
                return found
            connection.execute(_WRITE, _row(account, new))
            return new

        return await self._database.write(work)

    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        return await self._database.write(lambda connection: _forgotten(connection, account, expected))

    async def set_aside(self, account: str, expected: StoredIdentity) -> StoredIdentity | None:
        def work(connection: sqlite3.Connection) -> StoredIdentity | None:
            found = _stored(connection, account)
            if found is None or found.revision != expected.revision:
                return found
            _move_aside(connection, account)
            return None

        return await self._database.write(work)

    async def accounts(self) -> AsyncIterator[str]:
        last = ""
        while page := await self._database.read(partial(_accounts_after, last)):
            for account in page:
                yield account
            last = page[-1]


def _accounts_after(last: str, connection: sqlite3.Connection) -> list[str]:
    accounts = [account for (account,) in connection.execute(_ACCOUNTS, (last, _PAGE))]
    if not all(isinstance(account, str) for account in accounts):
        msg = "the name of an account can't be read; the store was kept as it is: restore a backup"
        raise StoreCorruptError(msg)
    return accounts


def _stored(connection: sqlite3.Connection, account: str) -> StoredIdentity | None:
    row: _Row | None = connection.execute(_SELECT, (account,)).fetchone()
    if row is None:
        _check_absence(connection, account)
        return None
    *values, digest = row
    found = read_row(row, is_intact=digest == _digest(account, values))
    if isinstance(found, StoreCorruptError):
        raise found
    return found


def _check_absence(connection: sqlite3.Connection, account: str) -> None:
    """Check that the account was not overlooked: were its name damaged, it would lie beside the place of the account.

    Raises:
        StoreCorruptError: A name beside it is damaged.
    """
    for name, digest in connection.execute(_BESIDE, (account,)).fetchall():
        if not (isinstance(name, str) and isinstance(digest, bytes) and digest.startswith(_checksum(name))):
            msg = "whether the account has a record can't be read; the store was kept as it is: restore a backup"
            raise StoreCorruptError(msg)


def _forgotten(
    connection: sqlite3.Connection, account: str, expected: StoredIdentity | DamagedIdentity | None
) -> StoredIdentity | None:
    try:
        found = _stored(connection, account)
    except StoreCorruptError as error:
        if not isinstance(expected, DamagedIdentity) or error.revision != expected.revision:
            raise
        _move_aside(connection, account)
    else:
        if found is None or isinstance(expected, DamagedIdentity) or found.revision != _revision(expected):
            return found
        connection.execute(_DELETE, (account,))
    return None


def _move_aside(connection: sqlite3.Connection, account: str) -> None:
    connection.execute(_SET_ASIDE, (time.time(), account))
    connection.execute(_DELETE, (account,))


def _row(account: str, record: StoredIdentity) -> _Row:
    secret = record.secret.reveal()
    values = (record.state, secret, record.user_id, record.revision, record.changed_at)
    return (account, *values, _digest(account, values))


def _digest(account: str, values: Sequence[object]) -> bytes:
    """Tell a record from what a failing disk, or a copy from another account, made of it."""
    return _checksum(account) + _checksum(repr((account, *values)))


def _checksum(text: str) -> bytes:
    return zlib.crc32(text.encode(errors="replace")).to_bytes(4, "big")


def _revision(record: StoredIdentity | None) -> bytes | None:
    return None if record is None else record.revision
