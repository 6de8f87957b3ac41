"""A PostgreSQL database as coroutines see it: deadlines, lost connections, further tries."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from examples.partner_cluster.postgres import Postgres
from mimi_async.errors import ConfigurationError, StoreUnavailableError
from mimi_async.postgres import Connection, Database, Schema

TABLE = "CREATE TABLE IF NOT EXISTS {schema}.numbers (number integer NOT NULL PRIMARY KEY)"
NUMBERS = Schema("numbers", "box of numbers", 1, (TABLE,), "make them with make=True")
INSERT = "INSERT INTO numbers.numbers VALUES ($1)"
COUNT = "SELECT count(*) FROM numbers.numbers"


@pytest.fixture
async def numbers(postgres: Postgres) -> AsyncIterator[Database]:
    database = Database(postgres.make_database(), NUMBERS)
    await database.open(make=True)
    yield database
    await database.close()


async def test_refuses_a_database_without_the_tables(postgres: Postgres) -> None:
    database = Database(postgres.make_database(), NUMBERS)
    with pytest.raises(ConfigurationError, match=r"the tables of the box of numbers .* make them with make=True"):
        await database.open()


async def test_refuses_the_tables_of_a_newer_version(numbers: Database) -> None:
    await numbers.run(lambda connection: connection.execute("UPDATE numbers.version SET version = 2"))
    with pytest.raises(ConfigurationError, match=r"are of version 2, this program knows 1: update"):
        await numbers._check(make=True)


async def test_makes_the_tables_once_for_many_at_the_same_time(postgres: Postgres) -> None:
    dsn = postgres.make_database()
    databases = [Database(dsn, NUMBERS) for _ in range(8)]
    await asyncio.gather(*(database.open(make=True) for database in databases))
    await asyncio.gather(*(database.close() for database in databases))


async def test_a_script_makes_the_same_tables(postgres: Postgres) -> None:
    dsn = postgres.make_database()
    postgres.tell(NUMBERS.script, dsn.rpartition("/")[2])
    database = Database(dsn, NUMBERS)
    await database.open()
    assert await database.run(lambda connection: connection.fetchval(COUNT)) == 0
    await database.close()


async def test_a_lost_connection_is_not_noticed_by_the_caller(numbers: Database) -> None:
    killed: list[int] = []

    async def work(connection: Connection) -> int:
        if not killed:
            killed.append(await connection.fetchval("SELECT pg_backend_pid()"))
            await connection.fetchval("SELECT pg_terminate_backend($1)", killed[0])
        await connection.execute(INSERT, 7)
        count: int = await connection.fetchval(COUNT)
        return count

    assert await numbers.run(work) == 1


async def test_what_a_transaction_has_done_is_taken_back_when_its_back_end_dies(numbers: Database) -> None:
    tries: list[int] = []

    async def work(connection: Connection) -> None:
        async with connection.transaction():
            await connection.execute(INSERT, len(tries))
            tries.append(await connection.fetchval("SELECT pg_backend_pid()"))
            if len(tries) < 3:
                await connection.fetchval("SELECT pg_terminate_backend($1)", tries[-1])

    await numbers.run(work)
    rows = await numbers.run(lambda connection: connection.fetch("SELECT number FROM numbers.numbers"))
    assert [row["number"] for row in rows] == [2]


async def test_gives_up_after_some_tries(numbers: Database) -> None:
    tries = []

    async def work(connection: Connection) -> None:
        tries.append(connection)
        raise asyncpg.SerializationError

    with pytest.raises(StoreUnavailableError, match="others changed the same rows again and again"):
        await numbers.run(work)
    assert len(tries) == 5


@pytest.mark.parametrize(
    "error", [asyncpg.ReadOnlySQLTransactionError, asyncpg.DivisionByZeroError, asyncpg.DuplicatePreparedStatementError]
)
async def test_a_connection_to_the_wrong_server_is_given_up_for_another(
    numbers: Database, error: type[asyncpg.PostgresError]
) -> None:
    connections = []

    async def work(connection: Connection) -> int:
        connections.append(await connection.fetchval("SELECT pg_backend_pid()"))
        if len(connections) < 3:
            raise error
        return len(connections)

    assert await numbers.run(work) == 3
    assert len({*connections}) == 3


async def test_statements_that_somebody_else_has_deallocated_are_prepared_anew(postgres: Postgres) -> None:
    async with asyncpg.create_pool(postgres.make_database(), min_size=0, max_size=1) as pool:
        database = Database(pool, NUMBERS)
        await database.open(make=True)
        for _ in range(2):
            assert await database.run(lambda connection: connection.fetchval(COUNT)) == 0
            await pool.execute("DEALLOCATE ALL")
        await database.close()


async def test_tries_nothing_again_that_would_fail_again(numbers: Database) -> None:
    tries = []

    async def work(connection: Connection) -> None:
        tries.append(connection)
        await connection.execute("SELECT sqrt(-1)")

    with pytest.raises(StoreUnavailableError, match=r"failed \(InvalidArgument\w+\): its log says more"):
        await numbers.run(work)
    assert len(tries) == 1


async def test_no_error_of_the_driver_hangs_on_ours(numbers: Database) -> None:
    with pytest.raises(StoreUnavailableError) as caught:
        await numbers.run(lambda connection: connection.execute("SELECT * FROM numbers.nowhere"))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_a_late_answer_is_never_the_next_callers(postgres: Postgres) -> None:
    database = Database(postgres.make_database(), NUMBERS, seconds=0.2, most=1)
    await database.open(make=True)
    for number in range(5):
        with pytest.raises(StoreUnavailableError, match=r"did not answer within 0.2 s"):
            await database.run(lambda connection: connection.fetchval("SELECT 'late' FROM pg_sleep(10)"))
        assert await _patient(database, f"SELECT {number}") == number
    await database.close()


async def test_a_cancel_goes_through_at_once_and_leaves_the_pool_whole(numbers: Database) -> None:
    sleepers = [
        asyncio.create_task(numbers.run(lambda connection: connection.execute("SELECT pg_sleep(60)")))
        for _ in range(10)
    ]
    await asyncio.sleep(0.1)
    for sleeper in sleepers:
        sleeper.cancel()
    ended = await asyncio.gather(*sleepers, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in ended)
    answers = await asyncio.gather(*(_patient(numbers, "SELECT 1") for _ in range(20)))
    assert answers == [1] * 20


async def test_a_caller_waits_for_a_free_connection_no_longer_than_for_the_database(postgres: Postgres) -> None:
    async with asyncpg.create_pool(postgres.make_database(), min_size=1, max_size=1) as pool:
        database = Database(pool, NUMBERS, seconds=0.3)
        await database.open(make=True)
        async with pool.acquire():
            with pytest.raises(StoreUnavailableError, match=r"did not answer within 0.3 s"):
                await database.run(lambda connection: connection.fetchval("SELECT 1"))
        assert await database.run(lambda connection: connection.fetchval("SELECT 1")) == 1
        await database.close()


async def test_a_given_pool_is_used_and_never_closed(postgres: Postgres) -> None:
    async with asyncpg.create_pool(postgres.make_database(), min_size=1, max_size=2) as pool:
        database = Database(pool, NUMBERS)
        await database.open(make=True)
        await database.close()
        assert await pool.fetchval(COUNT) == 0


async def test_the_address_is_shown_nowhere(postgres: Postgres) -> None:
    database = Database(f"postgresql://postgres:hush@127.0.0.1:{postgres.port}/nowhere", NUMBERS)
    with pytest.raises(StoreUnavailableError, match="there is no such database") as caught:
        await database.open()
    assert "hush" not in repr((vars(database), caught.value))


@pytest.mark.parametrize("source", ["mysql://x", "", None, 7])
def test_refuses_what_names_no_database(source: Any) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://"):
        Database(source, NUMBERS)


@pytest.mark.parametrize("name", ["", "Ids", "a-b", "1a", "a" * 41, 'a"; DROP'])
def test_refuses_a_name_of_a_schema_that_would_need_quotes(name: str) -> None:
    with pytest.raises(ConfigurationError, match="1 to 40 characters"):
        Schema(name, "box", 1, (), "")


async def _patient(database: Database, query: str) -> object:
    """Ask again while the pool mends itself: a short deadline may be over before it has connected."""
    for _ in range(50):
        try:
            return await database.run(lambda connection: connection.fetchval(query))
        except StoreUnavailableError:
            await asyncio.sleep(0.05)
    raise AssertionError
