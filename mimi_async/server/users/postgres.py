"""Users in a PostgreSQL database."""
# ruff: noqa: D102 - `UserRepository` documents the methods

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from ...databases.postgres import Connection, Database, Source, Statement
from ...hearing.results import HearingTestResult
from ...wire.server_side import Profile
from . import postgres_schema as schema
from . import rows
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
    is_name,
)


class PostgresUserRepository:
    """The `UserRepository` of any number of machines: one database, in which it creates a schema `mimi_server`.

    A write is a single statement that checks the client, or a transaction that begins with a lock; unique constraints
    decide which of two writers was first. A write that was done and whose answer was lost is repeated: each method
    finds its own rows by the random id or digest in its arguments, and returns the same answer.

    An erasure deletes rows and empties columns, at once and for every reader. PostgreSQL keeps the bytes longer: in
    their pages until a vacuum has cleared them and other rows have overwritten them, and in its log (WAL), in replicas
    that lag behind, archives and backups. To promise more than that, let autovacuum run sooner
    (`ALTER TABLE mimi_server.users SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100)`, and
    for `hearing_tests` too), run `VACUUM FULL` on both at night, keep archives and backups no longer than promised,
    and encrypt the disk. The parameters of statements, which are digests and personal values, must not be logged:
    `log_parameter_max_length = 0` where `log_statement` or a slow-query log is on.

    Args:
        source: The address of the database, or a pool of the host.
        timeout: Seconds to wait for the database.
        connections: The maximum number of connections.
    """

    def __init__(self, source: Source, timeout: float = 10.0, connections: int = 10) -> None:
        self._database = Database(source, schema.SCHEMA, timeout=timeout, max_connections=connections)

    async def open(self) -> None:
        await self._database.open(create=True)

    async def close(self) -> None:
        await self._database.close()

    async def ping(self) -> None:
        await self._fetch(schema.PING)

    async def check_values(self) -> Mapping[str, bytes]:
        return dict(await self._fetch(schema.CHECK_VALUES))

    async def keep_check_values(self, values: Mapping[str, bytes]) -> Mapping[str, bytes]:
        return dict(await self._fetch(schema.KEEP_CHECK_VALUES, [*values], [*values.values()]))

    async def clients(self) -> Sequence[str]:
        return [row[0] for row in await self._fetch(schema.CLIENTS)]

    async def add_first_client(self, partner: str, client_id: str, secret_digest: bytes) -> bool:
        async def add(connection: Connection) -> bool:
            async with connection.transaction():
                await connection.execute(schema.LOCK_CLIENTS)
                added = await schema.ADD_FIRST_CLIENT.fetchval(connection, client_id, partner, secret_digest)
                return added is not None

        return await self._database.run(add)

    async def add_client(self, partner: str, client_id: str, secret_digest: bytes) -> bool:
        async def add(connection: Connection) -> bool:
            async with connection.transaction():
                await connection.execute(schema.LOCK_CLIENTS)
                await schema.ADD_CLIENT.fetch(connection, client_id, partner, secret_digest)
                added = bool(await schema.IS_CLIENT.fetchval(connection, client_id, secret_digest))
                if added:
                    await schema.REMOVE_CLIENT.fetch(connection, DEV_CLIENT.client_id)
                return added

        return await self._database.run(add)

    async def create(self, client: UnverifiedClient, new_user: NewUser, *, may_make: bool) -> PartnerUser | Refusal:
        if not is_name(client.client_id):
            return Refusal.CREDENTIALS

        async def create(connection: Connection) -> PartnerUser | Refusal:
            row = await _find(connection, schema.BY_CREATION, client, new_user.create_digest)
            if row is not None and not row[1] and may_make:
                columns = rows.new_user_row(new_user, row[0])
                if await schema.MAKE_USER.fetchval(connection, client.client_id, client.secret_digest, *columns):
                    return PartnerUser(row[0], Profile(id=new_user.user_id), is_new=True)
                row = await _find(connection, schema.BY_CREATION, client, new_user.create_digest)
            found = rows.read_found_user(row, Refusal.LIMITED)
            if isinstance(found, PartnerUser) and found.profile.id == new_user.user_id:
                return attrs.evolve(found, is_new=True)  # by an earlier attempt whose answer was lost
            return found

        return await self._database.run(create)

    async def find(self, client: UnverifiedClient, id_digest: bytes) -> PartnerUser | Refusal:
        if not is_name(client.client_id):
            return Refusal.CREDENTIALS
        row = await self._database.run(lambda connection: _find(connection, schema.BY_ID, client, id_digest))
        return rows.read_found_user(row, Refusal.UNKNOWN)

    async def read(self, user_id: str) -> Profile | Refusal:
        found = await self._fetch(schema.USER, bytes.fromhex(user_id))
        return rows.read_found_profile(found[0] if found else None)

    async def change(
        self, user_id: str, changes: Mapping[str, Any], is_expected: Callable[[Profile], bool] | None = None
    ) -> Profile | Refusal:
        if not changes:
            found = await self.read(user_id)
            return found if isinstance(found, Refusal) or is_expected is None or is_expected(found) else Refusal.CHANGED
        key = bytes.fromhex(user_id)
        columns = [value for name in ("year_of_birth", "sex") for value in (name in changes, changes.get(name))]

        async def change(connection: Connection) -> Profile | Refusal:
            if is_expected is None:
                return rows.read_found_profile(await schema.CHANGE.fetchrow(connection, key, *columns))
            async with connection.transaction():
                await schema.LOCK_PROFILE.fetchval(connection, key)
                found = rows.read_found_profile(await schema.USER.fetchrow(connection, key))
                if isinstance(found, Refusal) or is_applied(changes, found):
                    return found
                if not is_expected(found):
                    return Refusal.CHANGED
                return rows.read_found_profile(await schema.CHANGE.fetchrow(connection, key, *columns))

        return await self._database.run(change)

    async def erase(self, user_id: str) -> Refusal | None:
        key = bytes.fromhex(user_id)
        has_existed = False

        async def erase(connection: Connection) -> Refusal | None:
            nonlocal has_existed
            async with connection.transaction():
                if await schema.LOCK_USER.fetchval(connection, key) is None:
                    return None if has_existed else Refusal.TOKEN  # erased by an attempt whose answer was lost
                has_existed = True
                await schema.ERASE_TESTS.fetch(connection, key)
                await schema.ERASE_USER.fetch(connection, key)
            return None

        return await self._database.run(erase)

    async def export(self, user_id: str) -> Export | Refusal:
        return rows.read_export(await self._fetch(schema.EXPORT, bytes.fromhex(user_id)))

    async def add_test(
        self, user_id: str, key_digest: bytes, test: HearingTestResult, now: int
    ) -> Submission | Refusal:
        key = bytes.fromhex(user_id)
        row = rows.new_test_row(key, key_digest, test)

        async def add(connection: Connection) -> Submission | Refusal:
            async with connection.transaction():
                if await schema.LOCK_PROFILE.fetchval(connection, key) is None:
                    return Refusal.TOKEN
                if await schema.ADD_TEST.fetchval(connection, *row, now) is not None:
                    return Submission(test, is_new=True, is_latest=True)
                (known,) = await schema.TEST_BY_KEY.fetch(connection, key, key_digest)
                last = await schema.LAST_RECEIVED.fetchval(connection, key)
            return Submission(rows.read_test(known), is_new=known[0] == test.id, is_latest=known[-1] == last)

        return await self._database.run(add)

    async def delete_test(self, user_id: str, test_id: str) -> Refusal | None:
        key = bytes.fromhex(user_id)

        async def delete(connection: Connection) -> Refusal | None:
            async with connection.transaction():
                if await schema.LOCK_PROFILE.fetchval(connection, key) is None:
                    return Refusal.TOKEN
                await schema.DELETE_TEST.fetch(connection, key, test_id)
            return None

        return await self._database.run(delete)

    async def tests(self, user_id: str, cursor: str | None) -> Page | Refusal:
        key = bytes.fromhex(user_id)
        return rows.read_page(await self._fetch(schema.PAGE, key, rows.read_cursor(cursor), PAGE + 1))

    async def _fetch(self, statement: Statement, *values: object) -> Sequence[rows.Row]:
        return await self._database.run(lambda connection: statement.fetch(connection, *values))


async def _find(connection: Connection, statement: Statement, client: UnverifiedClient, digest: bytes) -> Any:
    return await statement.fetchrow(connection, client.client_id, client.secret_digest, digest)
