"""Many callers, one crossing to the database: nobody is hurt by another, and nobody waits for ever."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

import aiohttp
import pytest

from mimi_async.errors import StoreCorruptError, StoreUnavailableError
from mimi_async.server.together import Together, Work
from mimi_async.testing import IdentityServer, Settings

from .client import PlainClient, a_key


class Jobs:
    """Runs jobs at once, on a database in memory."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
        self.count = 0
        self.failure: Exception | None = None

    async def run(self, work: Work) -> None:
        self.count += 1
        if self.failure is not None:
            raise self.failure
        with self.connection:
            self.connection.execute("BEGIN")
            work(self.connection)

    def numbers(self) -> list[int]:
        return [row[0] for row in self.connection.execute("SELECT n FROM t ORDER BY n")]


@pytest.fixture
async def jobs() -> AsyncIterator[Jobs]:
    jobs = Jobs()
    with closing(jobs.connection):
        yield jobs


def adding(number: int) -> Work:
    def add(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO t VALUES (?)", (number,))
        return number

    return add


async def test_what_is_asked_for_at_the_same_time_is_one_job(jobs: Jobs) -> None:
    together = Together(jobs.run, 10)
    assert await asyncio.gather(*(together.do(adding(n)) for n in range(50))) == list(range(50))
    assert jobs.count == 1


async def test_a_defect_in_the_work_of_one_hurts_no_other(jobs: Jobs) -> None:
    together = Together(jobs.run, 10)
    work = [adding(1), adding(2), adding(2), adding(3)]
    outcomes = await asyncio.gather(*map(together.do, work), return_exceptions=True)
    assert [isinstance(outcome, sqlite3.IntegrityError) for outcome in outcomes] == [False, False, True, False]
    assert jobs.numbers() == [1, 2, 3]


@pytest.mark.parametrize("failure", [StoreUnavailableError("locked"), StoreCorruptError("torn")])
async def test_all_learn_of_a_failure_each_by_an_exception_of_its_own(jobs: Jobs, failure: Exception) -> None:
    together = Together(jobs.run, 10)
    jobs.failure = failure
    outcomes = await asyncio.gather(*(together.do(adding(n)) for n in range(3)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {type(failure)}
    assert len({id(outcome) for outcome in outcomes}) == 3
    assert jobs.count == 1


async def test_a_database_that_hangs_is_given_up(jobs: Jobs) -> None:
    async def hang(_: Work) -> None:
        await asyncio.Event().wait()

    with pytest.raises(StoreUnavailableError, match=r"within 0\.01 s"):
        await Together(hang, 0.01).do(adding(1))


async def test_a_caller_that_is_cancelled_has_asked_all_the_same(jobs: Jobs) -> None:
    together = Together(jobs.run, 10)
    callers = [asyncio.ensure_future(together.do(adding(n))) for n in range(3)]
    await asyncio.sleep(0)
    callers[1].cancel()
    await asyncio.gather(callers[0], callers[2])
    assert jobs.numbers() == [0, 1, 2]


async def test_the_end_waits_for_what_was_asked(jobs: Jobs) -> None:
    together = Together(jobs.run, 10)
    caller = asyncio.ensure_future(together.do(adding(1)))
    await asyncio.sleep(0)
    await together.end()
    assert jobs.numbers() == [1]
    assert await caller == 1


async def test_a_database_that_another_process_locks_is_a_503_and_a_replay_finds_the_user() -> None:
    async with (
        IdentityServer(Settings(port=0, creation_limit=None, database_seconds=0.2)) as server,
        aiohttp.ClientSession() as session,
    ):
        client, key = PlainClient(server, session), a_key()
        with closing(sqlite3.connect(server.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = await client.create(key)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            other.execute("COMMIT")
        while (answer := await client.create(key)).status == 503:
            pass
        assert answer.status in (200, 201)
        assert server.users == 1
