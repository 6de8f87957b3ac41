"""A database of version 1 is brought to the newest one when it is opened, and loses nothing."""

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

from mimi_async.databases.postgres import Database
from mimi_async.errors import ConfigurationError
from mimi_async.hearing.results import FREQUENCIES, HearingTestResult
from mimi_async.server.users import postgres_schema, sqlite_schema
from mimi_async.server.users.postgres import PostgresUserRepository
from mimi_async.server.users.repository import PAGE, Export, Page, Submission, UserRepository
from mimi_async.server.users.sqlite import SQLiteUserRepository
from mimi_async.wire.server_side import Profile

from ..postgres_server import Postgres
from .repositories import open_repositories

ONE, OTHER, LATE = "01" * 16, "02" * 16, 2_145_916_800_000_000
"""Two users, and a moment in 2038 in microseconds."""

OF_SQLITE = {
    "    received INTEGER NOT NULL,\n": "",
    "UNIQUE (user_id, received)": "UNIQUE (user_id, taken_at, test_id)",
}
OF_POSTGRES = {
    "    received bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,\n": "",
    "UNIQUE (user_id, received)": "UNIQUE (user_id, taken_at, test_id)",
}


def statements_of_version_1(statements: Any, changes: dict[str, str]) -> list[str]:
    """Return the statements that created the tables of version 1."""
    text = "\0".join(statements)
    for new, old in changes.items():
        assert text.count(new) == 1
        text = text.replace(new, old)
    return text.split("\0")


def rows_of_version_1() -> list[tuple[Any, ...]]:
    """Hearing tests of two users: more than a page of one, of which one says 2038, and one of the other."""
    moments = [LATE, *(1_700_000_000_000_000 + n for n in range(PAGE + 5))]
    rows = [(ONE, f"{n:032x}", n, moment) for n, moment in enumerate(moments)]
    return [*rows, (OTHER, "f" * 32, 9999, 1_700_000_000_000_000)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "users.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements_of_version_1(sqlite_schema.SCHEMA.statements, OF_SQLITE):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={sqlite_schema.SCHEMA.application_id}")
        connection.execute("PRAGMA user_version=1")
        for number, user_id in enumerate((ONE, OTHER)):
            user = (b"c%d" % number, b"i%d" % number, bytes.fromhex(user_id))
            connection.execute("INSERT INTO users VALUES ('acme', ?, ?, ?, 0, 1980, NULL)", user)
        for user_id, test_id, key, taken_at in rows_of_version_1():
            row = (bytes.fromhex(user_id), test_id, b"%032d" % key, taken_at, 1, *[float(key % 100)] * 12)
            connection.execute(f"INSERT INTO hearing_tests VALUES ({', '.join('?' * 17)})", row)
    path.chmod(0o600)
    return path


async def assert_all_is_there(repository: UserRepository) -> None:
    """Each test is there, in its old order; and the next one that is received is the latest."""
    old = sorted(rows_of_version_1()[:-1], key=lambda row: row[3], reverse=True)
    export = await repository.export(ONE)
    assert isinstance(export, Export)
    assert [(test.id, test.left[250]) for test, _ in export.tests] == [(row[1], float(row[2] % 100)) for row in old]
    assert export.profile.latest_hearing_test is not None
    assert export.profile.latest_hearing_test.id == old[0][1]
    listed: list[str | None] = []
    cursor: str | None = None
    while not listed or cursor:
        page = await repository.tests(ONE, cursor)
        assert isinstance(page, Page)
        listed, cursor = listed + [test.id for test in page.tests], page.next_cursor
    assert listed == [row[1] for row in old]
    other = await repository.read(OTHER)
    assert isinstance(other, Profile)
    assert other.latest_hearing_test is not None
    assert (other.year_of_birth, other.latest_hearing_test.id) == (1980, "f" * 32)
    ear = dict.fromkeys(FREQUENCIES, 20.0)
    today = HearingTestResult(taken_at=dt.datetime.now(dt.UTC), calibrated=True, left=ear, right=ear, id="e" * 32)
    kept = await repository.add_test(ONE, b"n" * 32, today, 1_800_000_000_000_000)
    assert kept == Submission(today, is_new=True, is_latest=True)
    user = await repository.read(ONE)
    assert isinstance(user, Profile)
    assert user.latest_hearing_test == today


async def test_a_sqlite_file_of_version_1_keeps_its_tests_and_their_order(path: Path) -> None:
    for _ in range(2):
        async with open_repositories(SQLiteUserRepository(path)):
            pass
    async with open_repositories(SQLiteUserRepository(path)) as repository:
        await assert_all_is_there(repository)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert "hearing_tests_1" not in {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}


async def test_several_openings_at_once_migrate_a_sqlite_file_once(path: Path) -> None:
    async with open_repositories(*(SQLiteUserRepository(path) for _ in range(4))) as repository:
        await assert_all_is_there(repository)


async def test_a_migration_of_a_sqlite_file_that_fails_leaves_version_1(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    broken = {1: (*sqlite_schema.SCHEMA.migrations[1], "SELECT no_such_function()")}
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_schema, "SCHEMA", attrs.evolve(sqlite_schema.SCHEMA, migrations=broken))
        with pytest.raises(Exception, match="does not answer"):
            await SQLiteUserRepository(path).open()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM hearing_tests").fetchone() == (len(rows_of_version_1()),)
    assert len(before) <= path.stat().st_size
    await test_a_sqlite_file_of_version_1_keeps_its_tests_and_their_order(path)


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    """A database with the tables of version 1."""
    dsn = postgres.make_database()
    old = postgres_schema.SCHEMA
    statements = statements_of_version_1(old.statements, OF_POSTGRES)
    script = type(old)(name=old.name, purpose=old.purpose, version=1, statements=statements, remedy="").script
    users = "".join(
        f"INSERT INTO mimi_server.users VALUES ('acme', decode(repeat('0{n}', 32), 'hex'),"
        f" decode(repeat('1{n}', 32), 'hex'), '\\x{user_id}', 0, 1980, NULL);"
        for n, user_id in enumerate((ONE, OTHER))
    )
    tests = "".join(
        f"INSERT INTO mimi_server.hearing_tests VALUES ('\\x{user_id}', '{test_id}', '\\x{(b'%032d' % key).hex()}',"
        f" {taken_at}, true, {', '.join([str(float(key % 100))] * 12)});"
        for user_id, test_id, key, taken_at in rows_of_version_1()
    )
    postgres.execute(script + users + tests, dsn.rpartition("/")[2])
    return dsn


async def test_tables_of_version_1_in_postgresql_keep_their_tests_and_their_order(dsn: str, postgres: Postgres) -> None:
    async with open_repositories(*(PostgresUserRepository(dsn) for _ in range(4))) as repository:
        await assert_all_is_there(repository)
    assert postgres.execute("SELECT version FROM mimi_server.version", dsn.rpartition("/")[2]).strip() == "2"


async def test_the_tables_are_the_same_whether_they_were_created_or_migrated(dsn: str, postgres: Postgres) -> None:
    fresh = postgres.make_database()
    async with open_repositories(*map(PostgresUserRepository, (dsn, fresh))):
        pass
    facts = (
        """
SELECT column_name, column_default, is_nullable, data_type FROM information_schema.columns
WHERE table_name = 'hearing_tests' ORDER BY ordinal_position""",
        """
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'mimi_server.hearing_tests'::regclass
ORDER BY 1""",
    )
    for fact in facts:
        assert postgres.execute(fact, dsn.rpartition("/")[2]) == postgres.execute(fact, fresh.rpartition("/")[2])


async def test_a_server_of_version_1_that_still_runs_keeps_a_test_after_the_migration(
    dsn: str, postgres: Postgres
) -> None:
    async with open_repositories(PostgresUserRepository(dsn)) as repository:
        postgres.execute(
            "INSERT INTO mimi_server.hearing_tests SELECT user_id, repeat('a', 32), decode(repeat('77', 32), 'hex'), 0,"
            f" true, {', '.join(['20'] * 12)} FROM mimi_server.users WHERE user_id = '\\x{ONE}'",
            dsn.rpartition("/")[2],
        )
        user = await repository.read(ONE)
    assert isinstance(user, Profile)
    assert user.latest_hearing_test is not None
    assert user.latest_hearing_test.id == "a" * 32


async def test_older_tables_are_refused_by_a_program_that_may_not_migrate_them(dsn: str) -> None:
    database = Database(dsn, postgres_schema.SCHEMA)
    with pytest.raises(ConfigurationError, match="are of version 1: the server creates them when it starts"):
        await database.open()
