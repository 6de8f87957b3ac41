"""A PostgreSQL database for coroutines: deadlines, lost connections, further attempts."""

import asyncio
from functools import partial
from typing import Any

import asyncpg
import pytest

from mimi_async.databases.postgres import Connection, Database, Schema
from mimi_async.errors import ConfigurationError, StoreUnavailableError

from ...postgres_server import Postgres
from .numbers import COUNT, INSERT, NUMBERS, open_numbers


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


async def test_a_transaction_is_rolled_back_when_its_back_end_dies(numbers: Database) -> None:
    attempts: list[int] = []

    async def work(connection: Connection) -> None:
        async with connection.transaction():
            await connection.execute(INSERT, len(attempts))
            attempts.append(await connection.fetchval("SELECT pg_backend_pid()"))
            if len(attempts) < 3:
                await connection.fetchval("SELECT pg_terminate_backend($1)", attempts[-1])

    await numbers.run(work)
    rows = await numbers.run(lambda connection: connection.fetch("SELECT number FROM numbers.numbers"))
    assert [row["number"] for row in rows] == [2]


async def test_gives_up_after_five_attempts(numbers: Database) -> None:
    attempts = []

    async def work(connection: Connection) -> None:
        attempts.append(connection)
        raise asyncpg.SerializationError

    with pytest.raises(StoreUnavailableError, match="other transactions changed the same rows in each attempt"):
        await numbers.run(work)
    assert len(attempts) == 5


@pytest.mark.parametrize(
    "error", [asyncpg.ReadOnlySQLTransactionError, asyncpg.DivisionByZeroError, asyncpg.DuplicatePreparedStatementError]
)
async def test_a_connection_to_the_wrong_server_is_replaced_by_another(
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


async def test_statements_that_were_deallocated_are_prepared_again(postgres: Postgres) -> None:
    async with (
        asyncpg.create_pool(postgres.make_database(), min_size=0, max_size=1) as pool,
        open_numbers(pool) as database,
    ):
        for _ in range(2):
            assert await database.run(lambda connection: connection.fetchval(COUNT)) == 0
            await pool.execute("DEALLOCATE ALL")


async def test_repeats_no_error_that_would_repeat(numbers: Database) -> None:
    attempts = []

    async def work(connection: Connection) -> None:
        attempts.append(connection)
        await connection.execute("SELECT sqrt(-1)")

    with pytest.raises(StoreUnavailableError, match=r"failed \(InvalidArgument\w+\): its log says more"):
        await numbers.run(work)
    assert len(attempts) == 1


async def test_the_error_has_no_error_of_the_driver_as_its_context(numbers: Database) -> None:
    with pytest.raises(StoreUnavailableError) as caught:
        await numbers.run(lambda connection: connection.execute("SELECT * FROM numbers.nowhere"))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_a_late_answer_is_never_the_next_callers(postgres: Postgres) -> None:
    async with open_numbers(postgres.make_database(), max_connections=1) as database:
        for number in range(5):
            database.timeout = 0.2
            with pytest.raises(StoreUnavailableError, match=r"did not answer within 0.2 s"):
                await database.run(lambda connection: connection.fetchval("SELECT 'late' FROM pg_sleep(10)"))
            database.timeout = 30.0
            assert await database.run(partial(_select, number)) == number


async def test_a_cancellation_passes_at_once_and_leaves_the_pool_whole(numbers: Database) -> None:
    sleepers = [
        asyncio.create_task(numbers.run(lambda connection: connection.execute("SELECT pg_sleep(60)")))
        for _ in range(10)
    ]
    await asyncio.sleep(0.1)
    for sleeper in sleepers:
        sleeper.cancel()
    ended = await asyncio.gather(*sleepers, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in ended)
    assert await asyncio.gather(*(numbers.run(partial(_select, 1)) for _ in range(20))) == [1] * 20


async def test_the_address_is_shown_nowhere(postgres: Postgres) -> None:
    database = Database(f"postgresql://postgres:hush@127.0.0.1:{postgres.port}/nowhere", NUMBERS)
    with pytest.raises(StoreUnavailableError, match="there is no such database") as caught:
        await database.open()
    assert "hush" not in repr((vars(database), caught.value))


@pytest.mark.parametrize("source", ["mysql://x", "", None, 7])
def test_refuses_an_address_that_names_no_database(source: Any) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://"):
        Database(source, NUMBERS)


@pytest.mark.parametrize("name", ["", "Ids", "a-b", "1a", "a" * 41, 'a"; DROP'])
def test_refuses_a_name_of_a_schema_that_would_need_quotes(name: str) -> None:
    with pytest.raises(ConfigurationError, match="1 to 40 characters"):
        Schema(name, "box", 1, (), "")


async def _select(number: int, connection: Connection) -> object:
    return await connection.fetchval(f"SELECT {number}")
