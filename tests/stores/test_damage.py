"""A damaged row of a SQLite file or of a PostgreSQL table: never another id, and never "no record"."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol

import attrs
import pytest

from mimi_async.errors import StoreCorruptError
from mimi_async.stores import DamagedIdentity, IdentityStore, SQLiteStore
from mimi_async.testing.store_contract_base import fresh_active

from ..postgres_server import Postgres
from .damages import RECORD, SECRET
from .tables import Tables

DAMAGES = {
    "unknown state": "state = 'gone'",
    "another known state": "state = 'rejected'",
    "secret of the wrong length": "secret = substr(secret, 2)",
    "secret of the other kind": f"secret = '{'0' * 64}'",
    "another id": "secret = replace(secret, '5ec2', '5ec3')",
    "secret is empty": "secret = ''",
    "malformed user_id": "user_id = 'someone'",
    "empty user_id": "user_id = ''",
    "no user_id": "user_id = NULL",
}
IN_SQLITE = {
    "state is not text": "state = CAST('active' AS BLOB)",
    "state is not UTF-8": "state = CAST(x'ff61' AS TEXT)",
    "secret is not text": "secret = CAST(secret AS BLOB)",
    "secret is not UTF-8": "secret = CAST(x'ff' || secret AS TEXT)",
    "user_id of a wrong type": "user_id = x'00'",
    "short revision": "revision = x'00'",
    "revision is not a blob": "revision = 'revision'",
    "another revision": "revision = randomblob(16)",
    "changed_at is not a number": "changed_at = 'yesterday'",
    "changed_at is infinite": "changed_at = 9e999",
    "another digest": "digest = randomblob(8)",
}
IN_POSTGRES = {
    "no state": "state = NULL",
    "no secret": "secret = NULL",
    "short revision": "revision = '\\x00'",
    "long revision": "revision = revision || revision",
    "another revision": "revision = decode(md5('another'), 'hex')",
    "no revision": "revision = NULL",
    "changed_at is infinite": "changed_at = 'infinity'",
    "changed_at is not a number": "changed_at = 'NaN'",
    "no changed_at": "changed_at = NULL",
    "another digest": "digest = sha256('another')",
    "no digest": "digest = NULL",
    "another value of each": "state = 'a', secret = 'b', user_id = 'c', revision = 'd', changed_at = 0, digest = 'e'",
}
ALL = [
    *(pytest.param("sqlite", damage, id=f"sqlite, {name}") for name, damage in (DAMAGES | IN_SQLITE).items()),
    *(pytest.param("postgres", damage, id=f"postgres, {name}") for name, damage in (DAMAGES | IN_POSTGRES).items()),
]


class Database(Protocol):
    """The database below a store, as another program changes it."""

    def store(self) -> IdentityStore: ...

    def execute(self, statement: str) -> str:
        """Execute a statement on {t}, the records, or {a}, the quarantine; return the rows."""


@attrs.frozen
class SQLiteFile:
    path: Path

    def store(self) -> IdentityStore:
        return SQLiteStore(self.path)

    def execute(self, statement: str) -> str:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.text_factory = bytes
            rows = connection.execute(statement.format(t="identities", a="quarantine")).fetchall()
        return "\n".join("|".join(map(repr, row)) for row in rows)


@attrs.frozen
class PostgresTables:
    tables: Tables

    def store(self) -> IdentityStore:
        return self.tables.store()

    def execute(self, statement: str) -> str:
        return self.tables.execute(statement)


def open_database(kind: str, path: Path, postgres: Postgres) -> Database:
    return SQLiteFile(path) if kind == "sqlite" else PostgresTables(Tables.make(postgres))


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, path: Path, postgres: Postgres) -> Database:
    return open_database(request.param, path, postgres)


@pytest.mark.parametrize(("kind", "damage"), ALL)
async def test_a_damaged_row_is_kept_reported_and_quarantined_unchanged(
    kind: str, damage: str, path: Path, postgres: Postgres
) -> None:
    database = open_database(kind, path, postgres)
    async with database.store() as store:
        await store.claim("a", RECORD)
        other = await store.claim("b", fresh_active())
        database.execute(f"UPDATE {{t}} SET {damage} WHERE account = 'a'")
        row = database.execute("SELECT * FROM {t} WHERE account = 'a'")
    async with database.store() as store:
        with pytest.raises(StoreCorruptError, match=r"can't be read; it was kept: `start_over\(\)` moves it") as caught:
            await store.load("a")
        error = caught.value
        assert error.revision is not None
        assert len(error.revision) == 16
        assert SECRET not in f"{error!r} {error.__dict__} {error.__cause__!r} {error.__context__!r}"
        assert await store.forget("a", DamagedIdentity(error.revision)) is None
        assert re.fullmatch(re.escape(row) + r"\|\d+(\.\d+)?", database.execute("SELECT * FROM {a}"))
        assert await store.load("a") is None
        assert await store.load("b") == other


@pytest.mark.parametrize("damage", ["secret = 'gone'", "changed_at = 0", "user_id = NULL", "digest = ''"])
async def test_a_damaged_record_is_kept_also_where_its_revision_was_expected(database: Database, damage: str) -> None:
    async with database.store() as store:
        await store.claim("a", RECORD)
        database.execute(f"UPDATE {{t}} SET {damage}")
        row = database.execute("SELECT * FROM {t}")
        for call in (
            store.load("a"),
            store.replace("a", RECORD, fresh_active()),
            store.forget("a", RECORD),
            store.quarantine("a", RECORD),
        ):
            with pytest.raises(StoreCorruptError) as caught:
                await call
            assert caught.value.revision == RECORD.revision
        assert database.execute("SELECT * FROM {t}") == row


async def test_a_row_copied_from_another_account_is_damage(database: Database) -> None:
    async with database.store() as store:
        await store.claim("a", RECORD)
        database.execute("UPDATE {t} SET account = 'b'")
        with pytest.raises(StoreCorruptError):
            await store.load("b")


async def test_a_quarantined_record_can_be_restored_by_hand(database: Database) -> None:
    async with database.store() as store:
        await store.claim("a", RECORD)
        await store.quarantine("a", RECORD)
        columns = "account, state, secret, user_id, revision, changed_at, digest"
        database.execute(f"INSERT INTO {{t}} SELECT {columns} FROM {{a}}")
        assert await store.load("a") == RECORD
