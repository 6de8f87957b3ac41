"""Users in a SQLite file."""
# ruff: noqa: D102 - `UserRepository` documents the methods

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ...databases.dsn import Creation
from ...databases.sqlite import Database
from ...errors import NotStartedError, StoreError
from ...hearing.results import HearingTestResult
from ...wire.server_side import Profile
from . import rows
from . import sqlite_schema as schema
from .repository import (
    DEV_CLIENT,
    PAGE,
    Export,
    NewUser,
    Page,
    PartnerUser,
    Refusal,
    Submission,
    UnverifiedClient,
    is_applied,
)

_MAX_PAUSE = 5.0


class SQLiteUserRepository:
    """The `UserRepository` of one machine: one file, for any number of processes.

    Args:
        path: The file; created with mode 0600 in a folder created with 0700.
        timeout: Seconds that a caller waits for the database.
        creation: What is created where the file is missing.
    """

    def __init__(self, path: str | os.PathLike[str], timeout: float = 10.0, creation: Creation = "file") -> None:
        self._database = Database(path, schema.SCHEMA, creation, timeout=timeout)
        self._emptying: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._database.open()
        await self._database.read(_configure)

    async def close(self) -> None:
        if self._emptying is not None:
            self._emptying.cancel()
            await asyncio.wait([self._emptying])
        await self._database.close()

    async def ping(self) -> None:
        await self._database.read(lambda connection: connection.execute("SELECT 1 FROM clients LIMIT 1").fetchone())

    async def check_values(self) -> Mapping[str, bytes]:
        return await self._database.read(_read_check_values)

    async def keep_check_values(self, values: Mapping[str, bytes]) -> Mapping[str, bytes]:
        def keep(connection: sqlite3.Connection) -> Mapping[str, bytes]:
            connection.executemany("INSERT OR IGNORE INTO key_checks VALUES (?, ?)", values.items())
            return _read_check_values(connection)

        return await self._database.write(keep)

    async def clients(self) -> Sequence[str]:
        return [row[0] for row in await self._fetch("SELECT client_id FROM clients ORDER BY client_id")]

    async def add_first_client(self, partner: str, client_id: str, secret_digest: bytes) -> bool:
        insert = "INSERT INTO clients SELECT ?, ?, ? WHERE NOT EXISTS (SELECT * FROM clients)"
        return await self._database.write(
            lambda connection: _execute(connection, insert, client_id, partner, secret_digest)
        )

    async def add_client(self, partner: str, client_id: str, secret_digest: bytes) -> bool:
        return await self._database.write(
            lambda connection: insert_client(connection, partner, client_id, secret_digest)
        )

    async def create(self, client: UnverifiedClient, new_user: NewUser, *, may_make: bool) -> PartnerUser | Refusal:
        def create(connection: sqlite3.Connection) -> PartnerUser | Refusal:
            found = connection.execute(schema.PARTNER, (client.client_id, client.secret_digest)).fetchone()
            if may_make and found is not None:
                partner: str = found[0]
                if _execute(connection, schema.MAKE_USER, *rows.new_user_row(new_user, partner)):
                    return PartnerUser(partner, Profile(id=new_user.user_id), is_new=True)
            row = _find(connection, schema.BY_CREATION, client, new_user.create_digest)
            return rows.read_found_user(row, Refusal.LIMITED)

        return await self._database.write(create)

    async def find(self, client: UnverifiedClient, id_digest: bytes) -> PartnerUser | Refusal:
        row = await self._database.read(lambda connection: _find(connection, schema.BY_ID, client, id_digest))
        return rows.read_found_user(row, Refusal.UNKNOWN)

    async def read(self, user_id: str) -> Profile | Refusal:
        return await self._database.read(lambda connection: _read_user(connection, bytes.fromhex(user_id)))

    async def change(
        self, user_id: str, changes: Mapping[str, Any], is_expected: Callable[[Profile], bool] | None = None
    ) -> Profile | Refusal:
        key = bytes.fromhex(user_id)

        def change(connection: sqlite3.Connection) -> Profile | Refusal:
            found = _read_user(connection, key)
            if isinstance(found, Refusal) or is_applied(changes, found):
                return found
            if is_expected is not None and not is_expected(found):
                return Refusal.CHANGED
            for column, value in changes.items():
                connection.execute(schema.UPDATES[column], (value, key))
            return _read_user(connection, key)

        return await self._database.write(change)

    async def erase(self, user_id: str) -> Refusal | None:
        key = bytes.fromhex(user_id)

        def erase(connection: sqlite3.Connection) -> Refusal | None:
            _execute(connection, schema.ERASE_TESTS, key)
            return None if _execute(connection, schema.ERASE_USER, key) else Refusal.TOKEN

        refusal = await self._database.write(erase)
        await self._empty_log_soon()
        return refusal

    async def _empty_log_soon(self) -> None:
        if not await self._try_to_empty_log() and (self._emptying is None or self._emptying.done()):
            self._emptying = asyncio.get_running_loop().create_task(self._keep_emptying_log())

    async def _try_to_empty_log(self) -> bool:
        try:
            return await self._database.read(_empty_log)
        except (StoreError, NotStartedError):
            return False

    async def _keep_emptying_log(self) -> None:
        """Try to empty the log until no other reader needs it: what was erased must not stay in it."""
        pause = 0.1
        while not await self._try_to_empty_log():
            await asyncio.sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE)

    async def export(self, user_id: str) -> Export | Refusal:
        return rows.read_export(await self._fetch(schema.EXPORT, bytes.fromhex(user_id)))

    async def add_test(
        self, user_id: str, key_digest: bytes, test: HearingTestResult, now: int
    ) -> Submission | Refusal:
        key = bytes.fromhex(user_id)
        row = rows.new_test_row(key, key_digest, test)

        def add(connection: sqlite3.Connection) -> Submission | Refusal:
            if connection.execute(schema.IS_USER, (key,)).fetchone() is None:
                return Refusal.TOKEN
            if _execute(connection, schema.ADD_TEST, *row, now, key):
                return Submission(test, is_new=True, is_latest=True)
            known = connection.execute(schema.TEST_BY_KEY, (key, key_digest)).fetchone()
            last = connection.execute(schema.LAST_RECEIVED, (key,)).fetchone()[0]
            return Submission(rows.read_test(known), is_new=False, is_latest=known[-1] == last)

        return await self._database.write(add)

    async def delete_test(self, user_id: str, test_id: str) -> Refusal | None:
        key = bytes.fromhex(user_id)

        def delete(connection: sqlite3.Connection) -> Refusal | None:
            if connection.execute(schema.IS_USER, (key,)).fetchone() is None:
                return Refusal.TOKEN
            _execute(connection, schema.DELETE_TEST, key, test_id)
            return None

        refusal = await self._database.write(delete)
        await self._empty_log_soon()
        return refusal

    async def tests(self, user_id: str, cursor: str | None) -> Page | Refusal:
        key = bytes.fromhex(user_id)
        return rows.read_page(await self._fetch(schema.PAGE, rows.read_cursor(cursor), key, PAGE + 1))

    async def _fetch(self, statement: str, *values: object) -> list[rows.Row]:
        return await self._database.read(lambda connection: connection.execute(statement, values).fetchall())


def insert_client(connection: sqlite3.Connection, partner: str, client_id: str, secret_digest: bytes) -> bool:
    """Do what `UserRepository.add_client` does, in a transaction of the caller."""
    insert = "INSERT INTO clients VALUES (?, ?, ?) ON CONFLICT (client_id) DO NOTHING"
    added = _execute(connection, insert, client_id, partner, secret_digest)
    if added:
        _execute(connection, "DELETE FROM clients WHERE client_id = ?", DEV_CLIENT.client_id)
    return added


def count_users(connection: sqlite3.Connection) -> int:
    """Return how many users there are; erased users do not count."""
    return int(connection.execute("SELECT count(user_id) FROM users").fetchone()[0])


def _execute(connection: sqlite3.Connection, statement: str, *values: object) -> bool:
    """Execute a statement; return whether it changed a row."""
    return connection.execute(statement, values).rowcount > 0


def _read_check_values(connection: sqlite3.Connection) -> dict[str, bytes]:
    return dict(connection.execute("SELECT name, value FROM key_checks").fetchall())


def _find(connection: sqlite3.Connection, statement: str, client: UnverifiedClient, digest: bytes) -> rows.Row | None:
    values = digest, client.client_id, client.secret_digest
    row: rows.Row | None = connection.execute(statement, values).fetchone()
    return row


def _read_user(connection: sqlite3.Connection, key: bytes) -> Profile | Refusal:
    return rows.read_found_profile(connection.execute(schema.USER, (key,)).fetchone())


def _configure(connection: sqlite3.Connection) -> None:
    """Keep pages that random digests need in memory, and write pages to the file less often."""
    connection.execute("PRAGMA cache_size = -65536").close()
    connection.execute("PRAGMA wal_autocheckpoint = 4000").close()


def _empty_log(connection: sqlite3.Connection) -> bool:
    """Empty the write-ahead log, which holds what was erased; return False where another reader needs it now."""
    if connection.in_transaction:
        return False
    busy_timeout = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    is_busy = True
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA busy_timeout = 0")
        is_busy = bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
    connection.execute(f"PRAGMA busy_timeout = {busy_timeout}")
    return not is_busy
