"""Users in a PostgreSQL database."""
# ruff: noqa: D102 - `UserBook` says what each verb does

import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ..hearing.results import HearingTestResult
from ..postgres import Connection, Database, Source
from ..wire.service import Profile
from . import postgres_schema as schema
from .rows import USER_COLUMNS, member_of, moment_of, new_test_row, new_user_row, profile_of, test_of
from .users import DEV_CLIENT, PAGE, Caller, Candidate, Export, Member, Page, Refusal, Submission, is_name

_TEST_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


class PostgresUserBook:
    """The `UserBook` of any number of machines: one database, in which it makes a schema `mimi_server`.

    What writes is a single statement that checks for itself who asks, or a transaction that begins with a lock; unique
    constraints decide who was first. A work that was done, and whose answer was lost, is done again: each verb knows
    its own rows again, by the random id or digest that it brought, and answers as it would have.

    An erasure deletes rows and empties columns, at once and for every reader. PostgreSQL keeps the bytes a while
    longer: in their pages until a vacuum has cleared them and other rows have been written over them, and in its log
    (WAL), in replicas that lag behind, archives and backups. Who promises more than that lets autovacuum come sooner
    (`ALTER TABLE mimi_server.users SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100)`, and
    for `hearing_tests` too), runs `VACUUM FULL` on both at night, keeps archives and backups no longer than promised,
    and encrypts the disk. The parameters of statements, which are digests and personal values, must not be logged:
    `log_parameter_max_length = 0` where `log_statement` or a slow-query log is on.

    Args:
        source: The address of the database, or a pool of the host's.
        seconds: How long to wait for it.
        connections: How many to use at once, at most.
    """

    def __init__(self, source: Source, seconds: float = 10.0, connections: int = 10) -> None:
        self._database = Database(source, schema.SCHEMA, seconds=seconds, most=connections)

    async def open(self) -> None:
        await self._database.open(make=True)

    async def close(self) -> None:
        await self._database.close()

    async def ping(self) -> None:
        await self._database.run(lambda connection: connection.fetchval(schema.PING))

    async def check_values(self) -> Mapping[str, bytes]:
        return dict(await self._database.run(lambda connection: connection.fetch(schema.CHECK_VALUES)))

    async def keep_check_values(self, values: Mapping[str, bytes]) -> Mapping[str, bytes]:
        columns = [*values], [*values.values()]
        return dict(await self._database.run(lambda connection: connection.fetch(schema.KEEP_CHECK_VALUES, *columns)))

    async def clients(self) -> Sequence[str]:
        rows = await self._database.run(lambda connection: connection.fetch(schema.CLIENTS))
        return [row[0] for row in rows]

    async def add_first_client(self, partner: str, client_id: str, secret_digest: bytes) -> bool:
        async def add(connection: Connection) -> bool:
            async with connection.transaction():
                await connection.execute(schema.LOCK_CLIENTS)
                added = await connection.fetchval(schema.ADD_FIRST_CLIENT, client_id, partner, secret_digest)
                return added is not None

        return await self._database.run(add)

    async def add_client(self, partner: str, client_id: str, secret_digest: bytes) -> bool:
        async def add(connection: Connection) -> bool:
            async with connection.transaction():
                await connection.execute(schema.LOCK_CLIENTS)
                await connection.execute(schema.ADD_CLIENT, client_id, partner, secret_digest)
                added = bool(await connection.fetchval(schema.IS_CLIENT, client_id, secret_digest))
                if added:
                    await connection.execute(schema.REMOVE_CLIENT, DEV_CLIENT.client_id)
                return added

        return await self._database.run(add)

    async def create(self, caller: Caller, candidate: Candidate, *, may_make: bool) -> Member | Refusal:
        if not is_name(caller.client_id):
            return Refusal.CREDENTIALS

        async def create(connection: Connection) -> Member | Refusal:
            row = await _met(connection, schema.BY_CREATION, caller, candidate.create_digest)
            if row is not None and not row[1] and may_make:
                if await _make(connection, caller, candidate, row[0]):
                    return Member(row[0], Profile(id=candidate.user_id), is_new=True)
                row = await _met(connection, schema.BY_CREATION, caller, candidate.create_digest)
            return _made_by(candidate, _member(row, Refusal.LIMITED))

        return await self._database.run(create)

    async def find(self, caller: Caller, id_digest: bytes) -> Member | Refusal:
        if not is_name(caller.client_id):
            return Refusal.CREDENTIALS
        row = await self._database.run(lambda connection: _met(connection, schema.BY_ID, caller, id_digest))
        return _member(row, Refusal.UNKNOWN)

    async def read(self, user_id: str) -> Profile | Refusal:
        key = bytes.fromhex(user_id)
        return _profile(await self._database.run(lambda connection: connection.fetchrow(schema.USER, key)))

    async def change(self, user_id: str, changes: Mapping[str, Any]) -> Profile | Refusal:
        if not changes:
            return await self.read(user_id)
        values = [value for name in ("year_of_birth", "sex") for value in (name in changes, changes.get(name))]
        key = bytes.fromhex(user_id)
        return _profile(await self._database.run(lambda connection: connection.fetchrow(schema.CHANGE, key, *values)))

    async def erase(self, user_id: str) -> Refusal | None:
        key = bytes.fromhex(user_id)
        was_there = False

        async def erase(connection: Connection) -> Refusal | None:
            nonlocal was_there
            async with connection.transaction():
                if await connection.fetchval(schema.LOCK_USER, key) is None:
                    return None if was_there else Refusal.TOKEN  # gone since the try before: its answer was lost
                was_there = True
                await connection.execute(schema.ERASE_TESTS, key)
                await connection.execute(schema.ERASE_USER, key)
            return None

        return await self._database.run(erase)

    async def export(self, user_id: str) -> Export | Refusal:
        key = bytes.fromhex(user_id)
        rows = await self._database.run(lambda connection: connection.fetch(schema.EXPORT, key))
        if not rows:
            return Refusal.TOKEN
        tests = [row[USER_COLUMNS:] for row in rows]
        return Export(profile_of(rows[0]), moment_of(rows[0][1]), _tests(tests))

    async def add_test(self, user_id: str, key_digest: bytes, test: HearingTestResult) -> Submission | Refusal:
        key = bytes.fromhex(user_id)
        row = new_test_row(key, key_digest, test)

        async def add(connection: Connection) -> Submission | Refusal:
            if await connection.fetchval(schema.ADD_TEST, *row) is not None:
                return Submission(test, is_new=True)
            known = await connection.fetchrow(schema.TEST_BY_KEY, key, key_digest)
            return Refusal.TOKEN if known is None else Submission(test_of(known), is_new=known[0] == test.id)

        return await self._database.run(add)

    async def tests(self, user_id: str, cursor: str | None) -> Page | Refusal:
        key = bytes.fromhex(user_id)
        place = cursor if cursor is None or _TEST_ID.fullmatch(cursor) else ""  # any text is no text of PostgreSQL's
        rows = await self._database.run(lambda connection: connection.fetch(schema.PAGE, key, place, PAGE + 1))
        if not rows:
            return Refusal.TOKEN
        if place is not None and not rows[0][0]:
            return Refusal.CURSOR
        tests = _tests([row[1:] for row in rows[:PAGE]])
        return Page(tests, tests[-1].id if len(rows) > PAGE else None)


async def _met(connection: Connection, statement: str, caller: Caller, digest: bytes) -> Any:
    return await connection.fetchrow(statement, caller.client_id, caller.secret_digest, digest)


async def _make(connection: Connection, caller: Caller, candidate: Candidate, partner: str) -> bool:
    """Insert the user, unless somebody was first or the client is gone; tell whether it was inserted."""
    row = new_user_row(candidate, partner)
    return await connection.fetchval(schema.MAKE_USER, caller.client_id, caller.secret_digest, *row) is not None


def _member(row: Any, unknown: Refusal) -> Member | Refusal:
    """Return whom a client has met: no row is no client, a row without a user is an unknown one."""
    if row is None:
        return Refusal.CREDENTIALS
    partner, is_known, *user = row
    return member_of(tuple(user), partner) if is_known else unknown


def _made_by(candidate: Candidate, found: Member | Refusal) -> Member | Refusal:
    """Know the candidate's own row again: it was made by a try whose answer was lost."""
    if isinstance(found, Member) and found.profile.id == candidate.user_id:
        return attrs.evolve(found, is_new=True)
    return found


def _profile(row: Any) -> Profile | Refusal:
    return Refusal.TOKEN if row is None else profile_of(row)


def _tests(rows: Sequence[Any]) -> list[HearingTestResult]:
    """Return the tests of an outer join, which has a row of NULLs where there are none."""
    return [test_of(row) for row in rows if row[0] is not None]
