"""A statement proves which one was executed: what another client's statement has done or returned is never believed."""

import ast
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import asyncpg
import pytest

import mimi_async
from mimi_async.databases.postgres import (
    Address,
    Connection,
    Database,
    Statement,
    checks,
    notifications,
    prove,
    schema,
)
from mimi_async.databases.postgres.errors import WrongStatementError, translate_error
from mimi_async.errors import StoreUnavailableError
from mimi_async.server.users import postgres_schema
from mimi_async.server.users.postgres import PostgresUserRepository
from mimi_async.stores.postgres import PostgresStore
from mimi_async.stores.postgres.statements import Statements
from mimi_async.testing.store_contract_base import fresh_active

from ...postgres_server import Postgres
from ...stores.tables import OpenPostgresStore

SCHEMA = "mimi_store"
MODULES = (postgres_schema, checks, notifications, schema)
ALL = [
    *vars(Statements(SCHEMA)).values(),
    *(value for module in MODULES for value in vars(module).values() if isinstance(value, Statement)),
    postgres_schema.SCHEMA.select_version,
]


@pytest.fixture(scope="module")
def dsn(postgres: Postgres) -> str:
    """A database with all tables."""
    dsn = postgres.make_database()
    name = dsn.rpartition("/")[2]
    postgres.execute(PostgresStore.script(SCHEMA), name)
    postgres.execute(postgres_schema.SCHEMA.script, name)
    return dsn


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[asyncpg.Pool]:
    """One connection of the host's, so that a test may exchange what its names mean."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        await pool.execute(f"TRUNCATE {SCHEMA}.identities, {SCHEMA}.quarantine")
        yield pool


async def exchange(pool: asyncpg.Pool, statement: Statement, types: str, text: str) -> None:
    """Let the name of a prepared statement mean another one, as behind a pooler; it was executed before."""
    find = "SELECT name FROM pg_prepared_statements WHERE statement = $1"
    name = await pool.fetchval(find, statement.text)
    assert name
    await pool.execute(f'DEALLOCATE "{name}"; PREPARE "{name}" ({types}) AS {text}')


def test_no_two_statements_have_one_verb() -> None:
    assert len(ALL) > 30
    assert len({statement.verb for statement in ALL}) == len(ALL)


@pytest.mark.parametrize("statement", ALL, ids=lambda statement: statement.verb)
async def test_a_statement_that_gets_the_parameters_of_another_fails(
    connection: asyncpg.Connection, statement: Statement
) -> None:
    prepared = await connection.prepare(statement.text)
    nothing = [None] * (len(prepared.get_parameters()) - 1)
    for verb in ("another", "", None):
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await prepared.fetch(verb, *nothing)


@pytest.mark.parametrize(("verb", "other"), [("forget", "quarantine"), ("quarantine", "forget")])
async def test_a_mix_up_of_two_verbs_changes_nothing_and_the_right_one_is_executed(
    pool: asyncpg.Pool, verb: str, other: str
) -> None:
    async with OpenPostgresStore(pool) as store:
        record = await store.claim("a", fresh_active())
        await getattr(store, verb)("b", record)
        statement, wrong = (cast("Statement", getattr(store.statements, name)) for name in (verb, other))
        await exchange(pool, statement, "text, text, bytea", wrong.text)
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await pool.fetch(statement.text, verb, "a", record.revision)
        assert await store.load("a") == record
        assert await getattr(store, verb)("a", record) is None
    assert await pool.fetchval(f"SELECT count(*) FROM {SCHEMA}.quarantine") == int(verb == "quarantine")


@pytest.mark.parametrize(
    "answer",
    ["'another'::text, true", "NULL::text, true", "'load'::text, true WHERE false"],
    ids=["another verb", "no verb", "no row"],
)
async def test_an_answer_without_its_proof_is_not_believed(pool: asyncpg.Pool, answer: str) -> None:
    async with OpenPostgresStore(pool) as store:
        record = await store.claim("a", fresh_active())
        assert await store.load("a") == record
        select, _, where = answer.partition(" WHERE ")
        columns = "''::bytea, ''::bytea, NULL::bytea, ''::bytea, 0.5::float8, ''::bytea, ''::bytea"
        text = f"SELECT {select}, {columns} WHERE {where or 'true'} AND $1 <> $2"
        await exchange(pool, store.statements.load, "text, text", text)
        assert await store.load("a") == record


async def test_an_answer_of_another_statement_is_an_error_that_may_be_retried(pool: asyncpg.Pool) -> None:
    lie = Statement("truth", "SELECT 'lie', true, $1::text")
    database = Database(pool, postgres_schema.SCHEMA)
    await database.open()
    pids = set()

    async def work(connection: Connection) -> object:
        pids.add(await connection.fetchval("SELECT pg_backend_pid()"))
        return await lie.fetchval(connection)

    with pytest.raises(StoreUnavailableError, match="with statement_cache_size=0") as caught:
        await database.run(work)
    assert caught.value.retryable
    assert len(pids) == 5  # each connection was discarded
    await database.close()


async def test_a_wrong_answer_takes_back_the_transaction_it_is_in(pool: asyncpg.Pool) -> None:
    book = PostgresUserRepository(pool)
    await book.open()
    assert await book.add_client("acme", "acme-player", b"s" * 32)
    add, types = postgres_schema.ADD_CLIENT, "text, text, text, bytea"
    inserts = add.text.replace("'add_client'", "'another'").replace("CASE $1::text", "CASE 'another'")
    await exchange(pool, add, types, inserts)
    assert await book.add_client("acme", "acme-speaker", b"t" * 32)
    assert set(await book.clients()) == {"acme-player", "acme-speaker"}
    await book.close()


async def test_two_processes_never_name_a_statement_alike(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    for _ in range(2):
        monkeypatch.setattr("asyncpg.connection._uid", 0)  # the counter of a process that has just started
        connection = await Address(dsn).connect(5)
        names += [(await connection.prepare("SELECT 1", name=True)).get_name() for _ in range(50)]
        await connection.close()
    assert len(set(names)) == 100
    assert all(len(name) < 64 for name in names)  # PostgreSQL cuts longer ones


async def test_a_query_without_a_row_is_an_answer(connection: asyncpg.Connection) -> None:
    nothing = prove("nothing", "SELECT 7 AS number WHERE $2::boolean")
    assert await nothing.fetchval(connection, False) is None
    assert await nothing.fetch(connection, True) == [(7,)]


def test_the_error_holds_no_parameter() -> None:
    assert "hush" not in str(translate_error(WrongStatementError("hush"), "identity store"))


def test_only_statements_that_prove_themselves_are_executed_with_parameters() -> None:
    """The one exception proves itself: it returns its parameters."""
    root = Path(mimi_async.__file__).parent
    found = set()
    for path in (
        *root.glob("databases/postgres/*.py"),
        *root.glob("stores/postgres/*.py"),
        *root.glob("server/users/postgres*.py"),
    ):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner, method = node.func.value, node.func.attr
            is_connection = isinstance(owner, ast.Name) and owner.id == "connection"
            prepares = method.startswith("fetch") or (method == "execute" and len(node.args) > 1)
            if is_connection and prepares:
                found.add(f"{path.relative_to(root)}: {ast.unparse(node.args[0])}")
    assert found == {"databases/postgres/checks.py: _ECHO", "databases/postgres/statement.py: self.text"}
