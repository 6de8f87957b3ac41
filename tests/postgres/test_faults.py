"""A PostgreSQL that stands still, ends, or only reads."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from examples.partner_cluster.postgres import Postgres
from mimi_async.errors import StoreUnavailableError
from mimi_async.postgres import Database

from .test_database import COUNT, INSERT, NUMBERS


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture
async def numbers(own_postgres: Postgres) -> AsyncIterator[Database]:
    database = Database(own_postgres.make_database(), NUMBERS, seconds=2.0)
    await database.open(make=True)
    yield database
    await database.close()


async def test_while_it_stands_still_every_call_ends_and_afterwards_all_goes_on(
    own_postgres: Postgres, numbers: Database
) -> None:
    await asyncio.gather(*(numbers.run(lambda connection: connection.fetchval(COUNT)) for _ in range(10)))
    with own_postgres.frozen():
        calls = (numbers.run(lambda connection: connection.fetchval(COUNT)) for _ in range(50))
        ended = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(each) for each in ended} == {StoreUnavailableError}
    answers = await asyncio.gather(*(numbers.run(lambda connection: connection.fetchval(COUNT)) for _ in range(50)))
    assert answers == [0] * 50


async def test_leaving_does_not_wait_for_one_that_stands_still(own_postgres: Postgres) -> None:
    database = Database(own_postgres.make_database(), NUMBERS, seconds=1.0)
    await database.open(make=True)
    with own_postgres.frozen():
        async with asyncio.timeout(30):
            await database.close()
    assert {task.get_name() for task in asyncio.all_tasks()} == {asyncio.current_task().get_name()}  # type: ignore[union-attr]  # inside one


async def test_a_restart_is_not_noticed_by_the_caller(own_postgres: Postgres, numbers: Database) -> None:
    await asyncio.gather(*(numbers.run(lambda connection: connection.fetchval(COUNT)) for _ in range(10)))
    await asyncio.to_thread(own_postgres.restart)
    answers = await asyncio.gather(*(numbers.run(lambda connection: connection.fetchval(COUNT)) for _ in range(50)))
    assert answers == [0] * 50


async def test_one_that_is_gone_is_told_as_such(own_postgres: Postgres, numbers: Database) -> None:
    await asyncio.to_thread(own_postgres.stop)
    try:
        with pytest.raises(StoreUnavailableError):
            await numbers.run(lambda connection: connection.fetchval(COUNT))
    finally:
        await asyncio.to_thread(own_postgres.start)
    assert await numbers.run(lambda connection: connection.fetchval(COUNT)) == 0


async def test_one_that_only_reads_is_told_as_such_until_it_writes_again(own_postgres: Postgres) -> None:
    database = Database(own_postgres.make_database(), NUMBERS, seconds=2.0)
    await database.open(make=True)
    await asyncio.to_thread(_only_reads, own_postgres, "on")
    try:
        with pytest.raises(StoreUnavailableError, match=r"can be written to|it only reads"):
            await database.run(lambda connection: connection.execute(INSERT, 1))
        with pytest.raises(StoreUnavailableError, match="can be written to"):
            await database.run(lambda connection: connection.fetchval(COUNT))
    finally:
        await asyncio.to_thread(_only_reads, own_postgres, "off")
    assert await database.run(lambda connection: connection.fetchval(COUNT)) == 0
    await database.close()


def _only_reads(server: Postgres, value: str) -> None:
    server.tell(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
    server.restart()
