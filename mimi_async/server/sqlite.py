"""Users in a SQLite file."""
# ruff: noqa: D102 - `UserBook` says what each verb does

import asyncio
import hmac
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ..errors import StoreError
from ..hearing.results import HearingTestResult
from ..sqlite import Database
from ..wire.service import Profile
from . import schema
from .rows import member_of, moment_of, new_test_row, new_user_row, profile_of, test_of
from .together import Together
from .users import DEV_CLIENT, PAGE, Caller, Candidate, Export, Member, Page, Refusal, Submission

_LONGEST_PAUSE = 5.0


class SQLiteUserBook:
    """The `UserBook` of one machine: one file, for any number of processes.

    Args:
        path: The file; made with mode 0600 in a folder made with 0700.
        seconds: How long to wait for it.
    """

    def __init__(self, path: str | os.PathLike[str], seconds: float = 10.0) -> None:
        self._database = Database(path, schema.SCHEMA)
        self._reads = Together(self._database.read, seconds)
        self._writes = Together(self._database.write, seconds)
        self._sweeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._database.open()
        await self._database.read(_set_up)

    async def close(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait([self._sweeping])
        await self._reads.end()
        await self._writes.end()
        await self._database.close()

    async def ping(self) -> None:
        await self._reads.do(lambda connection: connection.execute("SELECT 1 FROM clients LIMIT 1").fetchone())

    async def check_values(self) -> Mapping[str, bytes]:
        return await self._reads.do(_check_values)

    async def keep_check_values(self, values: Mapping[str, bytes]) -> Mapping[str, bytes]:
        def keep(connection: sqlite3.Connection) -> Mapping[str, bytes]:
            connection.executemany("INSERT OR IGNORE INTO key_checks VALUES (?, ?)", values.items())
            return _check_values(connection)

        return await self._writes.do(keep)

    async def clients(self) -> Sequence[str]:
        select = "SELECT client_id FROM clients ORDER BY client_id"
        return await self._reads.do(lambda connection: [row[0] for row in connection.execute(select)])

    async def add_first_client(self, partner: str, client_id: str, secret_digest: bytes) -> bool:
        insert = "INSERT INTO clients SELECT ?, ?, ? WHERE NOT EXISTS (SELECT * FROM clients)"
        return await self._writes.do(lambda connection: _do(connection, insert, client_id, partner, secret_digest))

    async def add_client(self, partner: str, client_id: str, secret_digest: bytes) -> bool:
        return await self._writes.do(lambda connection: insert_client(connection, partner, client_id, secret_digest))

    async def create(self, caller: Caller, candidate: Candidate, *, may_make: bool) -> Member | Refusal:
        def create(connection: sqlite3.Connection) -> Member | Refusal:
            partner = _partner(connection, caller)
            if partner is None:
                return Refusal.CREDENTIALS
            if may_make and _do(connection, schema.MAKE_USER, *new_user_row(candidate, partner)):
                return Member(partner, Profile(id=candidate.user_id), is_new=True)
            row = connection.execute(schema.USER_BY_CREATION, (candidate.create_digest, partner)).fetchone()
            return Refusal.LIMITED if row is None else member_of(row, partner)

        return await self._writes.do(create)

    async def find(self, caller: Caller, id_digest: bytes) -> Member | Refusal:
        def find(connection: sqlite3.Connection) -> Member | Refusal:
            partner = _partner(connection, caller)
            if partner is None:
                return Refusal.CREDENTIALS
            row = connection.execute(schema.USER_BY_ID, (id_digest, partner)).fetchone()
            return Refusal.UNKNOWN if row is None else member_of(row, partner)

        return await self._reads.do(find)

    async def read(self, user_id: str) -> Profile | Refusal:
        key = bytes.fromhex(user_id)
        return await self._reads.do(lambda connection: _user(connection, key))

    async def change(self, user_id: str, changes: Mapping[str, Any]) -> Profile | Refusal:
        key = bytes.fromhex(user_id)

        def change(connection: sqlite3.Connection) -> Profile | Refusal:
            for column, update in schema.UPDATES.items():
                if column in changes:
                    _do(connection, update, changes[column], key)
            return _user(connection, key)

        return await self._writes.do(change)

    async def erase(self, user_id: str) -> Refusal | None:
        key = bytes.fromhex(user_id)

        def erase(connection: sqlite3.Connection) -> Refusal | None:
            _do(connection, schema.ERASE_TESTS, key)
            return None if _do(connection, schema.ERASE_USER, key) else Refusal.TOKEN

        refusal = await self._writes.do(erase)
        if not await self._is_log_emptied() and (self._sweeping is None or self._sweeping.done()):
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep())
        return refusal

    async def _is_log_emptied(self) -> bool:
        try:
            return await self._database.read(_empty_log)
        except StoreError:
            return False

    async def _sweep(self) -> None:
        """Try to empty the log until nobody needs it any more: what was erased must not stay in it."""
        pause = 0.1
        while not await self._is_log_emptied():
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def export(self, user_id: str) -> Export | Refusal:
        key = bytes.fromhex(user_id)

        def export(connection: sqlite3.Connection) -> Export | Refusal:
            with _snapshot(connection):
                row = connection.execute(schema.USER, (key,)).fetchone()
                tests = connection.execute(schema.ALL_TESTS, (key,)).fetchall()
            if row is None:
                return Refusal.TOKEN
            return Export(profile_of(row), moment_of(row[1]), [test_of(test) for test in tests])

        return await self._reads.do(export)

    async def add_test(self, user_id: str, key_digest: bytes, test: HearingTestResult) -> Submission | Refusal:
        key = bytes.fromhex(user_id)
        row = new_test_row(key, key_digest, test)

        def add(connection: sqlite3.Connection) -> Submission | Refusal:
            if connection.execute(schema.IS_USER, (key,)).fetchone() is None:
                return Refusal.TOKEN
            if _do(connection, schema.ADD_TEST, *row):
                return Submission(test, is_new=True)
            known = connection.execute(schema.TEST_BY_KEY, (key, key_digest)).fetchone()
            return Submission(test_of(known), is_new=False)

        return await self._writes.do(add)

    async def tests(self, user_id: str, cursor: str | None) -> Page | Refusal:
        key = bytes.fromhex(user_id)

        def tests(connection: sqlite3.Connection) -> Page | Refusal:
            with _snapshot(connection):
                return _page(connection, key, cursor)

        return await self._reads.do(tests)


def _set_up(connection: sqlite3.Connection) -> None:
    """Let random digests find their pages in memory, and pages be written to the file less often."""
    connection.execute("PRAGMA cache_size = -65536").close()
    connection.execute("PRAGMA wal_autocheckpoint = 4000").close()


def insert_client(connection: sqlite3.Connection, partner: str, client_id: str, secret_digest: bytes) -> bool:
    """Do the work of `UserBook.add_client` in a transaction of the caller's."""
    insert = "INSERT INTO clients VALUES (?, ?, ?) ON CONFLICT (client_id) DO NOTHING"
    added = _do(connection, insert, client_id, partner, secret_digest)
    if added:
        _do(connection, "DELETE FROM clients WHERE client_id = ?", DEV_CLIENT.client_id)
    return added


def count_users(connection: sqlite3.Connection) -> int:
    """Return how many users there are; those that were erased are none."""
    return int(connection.execute("SELECT count(user_id) FROM users").fetchone()[0])


def _do(connection: sqlite3.Connection, statement: str, *values: object) -> bool:
    """Run a statement; tell whether it changed a row."""
    return connection.execute(statement, values).rowcount > 0


def _check_values(connection: sqlite3.Connection) -> dict[str, bytes]:
    return dict(connection.execute("SELECT name, value FROM key_checks").fetchall())


def _partner(connection: sqlite3.Connection, caller: Caller) -> str | None:
    row = connection.execute(schema.PARTNER_OF, (caller.client_id,)).fetchone()
    if row is None or not hmac.compare_digest(row[1], caller.secret_digest):
        return None
    return str(row[0])


def _user(connection: sqlite3.Connection, key: bytes) -> Profile | Refusal:
    row = connection.execute(schema.USER, (key,)).fetchone()
    return Refusal.TOKEN if row is None else profile_of(row)


def _page(connection: sqlite3.Connection, key: bytes, cursor: str | None) -> Page | Refusal:
    if connection.execute(schema.IS_USER, (key,)).fetchone() is None:
        return Refusal.TOKEN
    if cursor is None:
        rows = connection.execute(schema.TESTS_PAGE, (key, PAGE + 1)).fetchall()
    else:
        place = connection.execute(schema.TAKEN_AT, (key, cursor)).fetchone()
        if place is None:
            return Refusal.CURSOR
        rows = connection.execute(schema.NEXT_TESTS_PAGE, (key, place[0], cursor, PAGE + 1)).fetchall()
    tests = [test_of(row) for row in rows[:PAGE]]
    return Page(tests, tests[-1].id if len(rows) > PAGE else None)


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Let several reads see one state of the database, also beside other processes that write."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def _empty_log(connection: sqlite3.Connection) -> bool:
    """Empty the write-ahead log, which holds what was erased a moment ago; False where others need it just now."""
    if connection.in_transaction:
        return False
    patience = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    is_busy = True
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA busy_timeout = 0")
        is_busy = bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
    connection.execute(f"PRAGMA busy_timeout = {patience}")
    return not is_busy
