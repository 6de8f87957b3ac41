"""A store in a SQLite file, for any number of processes of one machine."""

import os
import sqlite3
import time
import zlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from ..builtin_types import as_builtin
from ..databases.dsn import Creation
from ..databases.sqlite import Database, Schema
from ..errors import ConfigurationError, StoreCorruptError
from .base import DamagedIdentity, IdentityStore, StoredIdentity, revision_of
from .rows import read_row

_SCHEMA = Schema(
    purpose="identity store",
    application_id=0x4D494D49,  # "MIMI"
    version=1,
    statements=(
        """CREATE TABLE identities (account TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL, secret TEXT NOT NULL,
        user_id TEXT, revision BLOB NOT NULL, changed_at REAL NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID""",
        "CREATE TABLE quarantine (account, state, secret, user_id, revision, changed_at, digest, quarantined_at)",
    ),
)

_SELECT = "SELECT state, secret, user_id, revision, changed_at, digest FROM identities WHERE account = ?"
_NEIGHBOURS = """
SELECT * FROM (SELECT account, digest FROM identities WHERE account < ? ORDER BY account DESC LIMIT 1) UNION ALL
SELECT * FROM (SELECT account, digest FROM identities WHERE account > ? ORDER BY account LIMIT 1)"""
_VALUES = "INTO identities VALUES (?, ?, ?, ?, ?, ?, ?)"
_CLAIM = f"INSERT {_VALUES} ON CONFLICT (account) DO NOTHING"
_WRITE = f"INSERT OR REPLACE {_VALUES}"
_DELETE = "DELETE FROM identities WHERE account = ?"
_QUARANTINE = "INSERT INTO quarantine SELECT *, ? FROM identities WHERE account = ?"

_ACCOUNTS = "SELECT account FROM identities WHERE account > ? ORDER BY account LIMIT ?"

_PAGE = 1_000

_Row = tuple[Any, ...]


class SQLiteStore(IdentityStore):
    """A store in one SQLite file. A change is on the disk when its verb returns.

    Args:
        path: The file, best by an absolute path: in another working directory, a relative path names another file. It
            is created with mode 0600. A folder that others may write to, a symlink and a file of another owner are
            refused when the store is entered. A new file is logged at WARNING, with its path, as "new and empty".
        create_folder: Create the folder of the file where it is missing, with mode 0700. Else a missing folder is a
            `ConfigurationError`: its disk may not be mounted.
        must_exist: Create nothing: a missing file is a `StoreUnavailableError`, which is retryable, since its disk may
            be mounted later. For each start but the first, and for disks whose mount point exists without them.
        busy_timeout: Seconds that SQLite waits for another process that writes.

    Raises:
        ConfigurationError: The path is nearly right, with a blank at its end or a leading '~' for example, or both
            options are given.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        create_folder: bool = False,
        must_exist: bool = False,
        busy_timeout: float = 5.0,
    ) -> None:
        creation = _choose_creation(create_folder=create_folder, must_exist=must_exist)
        self._database = Database(path, _SCHEMA, creation, busy_timeout=busy_timeout)

    @property
    def path(self) -> Path:
        """The file, which is created when the store is entered for the first time."""
        return self._database.path

    @property
    def database(self) -> Database:
        """The file's connection, for a table beside the records: `KeyringStore` has one."""
        return self._database

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self.path)!r})"

    async def __aenter__(self) -> Self:
        await self._database.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._database.close()

    async def load(self, account: str) -> StoredIdentity | None:
        return await self._database.read(lambda connection: _load(connection, account))

    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        def work(connection: sqlite3.Connection) -> StoredIdentity:
            if connection.execute(_CLAIM, _row(account, record)).rowcount == 0:
                return _load(connection, account) or record
            _check_absence(connection, account)
            return record

        return await self._database.write(work)

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        def work(connection: sqlite3.Connection) -> StoredIdentity | None:
            found = _load(connection, account)
            if revision_of(found) != revision_of(expected):
                return found
            connection.execute(_WRITE, _row(account, new))
            return new

        return await self._database.write(work)

    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        return await self._database.write(lambda connection: _forget(connection, account, expected))

    async def quarantine(self, account: str, expected: StoredIdentity) -> StoredIdentity | None:
        def work(connection: sqlite3.Connection) -> StoredIdentity | None:
            found = _load(connection, account)
            if found is None or found.revision != expected.revision:
                return found
            _quarantine(connection, account)
            return None

        return await self._database.write(work)

    async def accounts(self) -> AsyncIterator[str]:
        last = ""
        while page := await self._database.read(partial(_list_accounts_after, last)):
            for account in page:
                yield account
            last = page[-1]


def _choose_creation(*, create_folder: bool, must_exist: bool) -> Creation:
    if create_folder and must_exist:
        msg = "must_exist creates nothing, and create_folder creates a folder: give one of them"
        raise ConfigurationError(msg)
    return "nothing" if must_exist else "folder" if create_folder else "file"


def _list_accounts_after(last: str, connection: sqlite3.Connection) -> list[str]:
    accounts = [account for (account,) in connection.execute(_ACCOUNTS, (last, _PAGE))]
    if not all(isinstance(account, str) for account in accounts):
        msg = "the name of an account can't be read; the store was kept as it is: restore a backup"
        raise StoreCorruptError(msg)
    return accounts


def _load(connection: sqlite3.Connection, account: str) -> StoredIdentity | None:
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
    """Check that the account has no row: a row with a damaged name would be a neighbour of where the account sorts.

    Raises:
        StoreCorruptError: The name of a neighbour is damaged.
    """
    for name, digest in connection.execute(_NEIGHBOURS, (account, account)).fetchall():
        if not (isinstance(name, str) and isinstance(digest, bytes) and digest.startswith(_checksum(name))):
            msg = "whether the account has a record can't be read; the store was kept as it is: restore a backup"
            raise StoreCorruptError(msg)


def _forget(
    connection: sqlite3.Connection, account: str, expected: StoredIdentity | DamagedIdentity | None
) -> StoredIdentity | None:
    try:
        found = _load(connection, account)
    except StoreCorruptError as error:
        if not isinstance(expected, DamagedIdentity) or error.revision != expected.revision:
            raise
        _quarantine(connection, account)
    else:
        if found is None or isinstance(expected, DamagedIdentity) or found.revision != revision_of(expected):
            return found
        connection.execute(_DELETE, (account,))
    return None


def _quarantine(connection: sqlite3.Connection, account: str) -> None:
    connection.execute(_QUARANTINE, (time.time(), account))
    connection.execute(_DELETE, (account,))


def _row(account: str, record: StoredIdentity) -> _Row:
    secret = record.secret.reveal()
    values = (record.state, secret, record.user_id, record.revision, record.changed_at)
    return (account, *values, _digest(account, values))


def _digest(account: str, values: Sequence[object]) -> bytes:
    """Return a digest of a record: it differs after a failing disk altered the record, and for another account."""
    account = as_builtin(account)  # its repr is part of the digest
    return _checksum(account) + _checksum(repr((account, *values)))


def _checksum(text: str) -> bytes:
    return zlib.crc32(text.encode(errors="replace")).to_bytes(4, "big")
