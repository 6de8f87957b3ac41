"""The store and the identity server behind PgBouncer: no client executes the statement of another client."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import asyncpg
import pytest

from mimi_async.errors import ConfigurationError, StoreUnavailableError
from mimi_async.server.users.postgres import PostgresUserRepository
from mimi_async.stores import PostgresStore
from mimi_async.testing.store_contract_base import fresh_active

from ...conftest import rounds
from ...postgres_server import Postgres
from ...server.on_postgres import an_environment
from ...server.processes import serving
from ...stores.tables import OpenPostgresStore
from .pgbouncer import PgBouncer, tracks_statements

pytestmark = pytest.mark.timeout(rounds(120, 1800))

PROCESSES = 3
VERBS = rounds(50, 1_000)
MODES = ["transaction", "session", "tracked"]
SESSIONS = {"pool_mode": "session", "default_pool_size": 60}


def a_pooler(postgres: Postgres, mode: str) -> PgBouncer:
    """Return PgBouncer in a mode; in the first two it passes the names of prepared statements on."""
    is_tracking = mode == "tracked"
    if is_tracking and not tracks_statements():
        pytest.skip("PgBouncer 1.21 or newer tracks prepared statements; this one is older")
    settings: dict[str, Any] = SESSIONS if mode == "session" else {}
    if tracks_statements():
        settings = {**settings, "max_prepared_statements": 200 if is_tracking else 0}
    return PgBouncer(postgres, **settings)


@pytest.fixture(scope="module", params=MODES)
def pooler(request: pytest.FixtureRequest, postgres: Postgres) -> Iterator[PgBouncer]:
    with a_pooler(postgres, request.param) as pooler:
        yield pooler


@pytest.fixture(scope="module")
def plain_pooler(postgres: Postgres) -> Iterator[PgBouncer]:
    with a_pooler(postgres, "transaction") as pooler:
        yield pooler


@pytest.fixture
async def dsn(postgres: Postgres) -> str:
    """The direct address of a database with the tables of a store."""
    dsn = postgres.make_database()
    await PostgresStore(dsn).init()
    return dsn


async def reports(url: str) -> AsyncIterator[dict[str, list[str]]]:
    """Yield the report of each process."""
    command = (sys.executable, "-m", "tests.databases.postgres.log_outs", url, str(VERBS))
    pipe = asyncio.subprocess.PIPE
    processes = [await asyncio.create_subprocess_exec(*command, stdout=pipe) for _ in range(PROCESSES)]
    for process, (out, _) in zip(processes, [await each.communicate() for each in processes], strict=True):
        assert process.returncode == 0
        yield json.loads(out)


async def check_reports(postgres: Postgres, dsn: str, url: str) -> None:
    """Run the processes, and look in the tables for every effect that they reported."""
    name = dsn.rpartition("/")[2]
    found = [report async for report in reports(url)]
    kept = set(postgres.execute("SELECT account FROM mimi_store.identities", name).splitlines())
    aside = set(postgres.execute("SELECT account FROM mimi_store.quarantine", name).splitlines())
    assert {account for report in found for account in report["quarantine"]} == aside
    assert kept == set()
    assert [failure for report in found for failure in report["failures"]] == []
    assert sum(len(report["forget"]) + len(report["quarantine"]) for report in found) == PROCESSES * VERBS


async def test_every_reported_log_out_and_quarantine_took_effect(
    postgres: Postgres, pooler: PgBouncer, dsn: str
) -> None:
    await check_reports(postgres, dsn, pooler.dsn_of(dsn))


@pytest.mark.parametrize("pooler", MODES[: rounds(1, 3)], indirect=True)
async def test_two_servers_start_one_after_the_other_and_both_answer(postgres: Postgres, pooler: PgBouncer) -> None:
    url, environ = pooler.dsn_of(postgres.make_database()), an_environment()
    async with (
        serving(url, environ=environ) as first,
        serving(url, environ=environ) as second,
        aiohttp.ClientSession() as session,
    ):
        for _ in range(20):
            for server in (first, second):
                async with session.get(f"{server.url}/readyz") as response:
                    assert response.status == 200
    async with serving(url, environ=environ) as third, aiohttp.ClientSession() as session:
        assert (await session.get(f"{third.url}/readyz")).status == 200


async def test_a_given_pool_with_named_statements_is_refused_with_the_remedy(plain_pooler: PgBouncer, dsn: str) -> None:
    async with asyncpg.create_pool(plain_pooler.dsn_of(dsn), min_size=0) as pool:
        for use in (PostgresStore(pool).__aenter__, PostgresUserRepository(pool).open):
            with pytest.raises(ConfigurationError, match=r"connection pooler .* with statement_cache_size=0, or"):
                await use()


async def test_a_given_pool_without_named_statements_is_used(plain_pooler: PgBouncer, dsn: str) -> None:
    url = plain_pooler.dsn_of(dsn)
    async with asyncpg.create_pool(url, min_size=0, statement_cache_size=0) as pool, PostgresStore(pool) as store:
        record = await store.claim("a", fresh_active())
        assert await store.forget("a", record) is None


async def test_a_given_pool_with_named_statements_is_used_where_the_pooler_tracks_them(
    postgres: Postgres, dsn: str
) -> None:
    with a_pooler(postgres, "tracked") as pooler:
        async with asyncpg.create_pool(pooler.dsn_of(dsn), min_size=0) as pool, PostgresStore(pool) as store:
            record = await store.claim("a", fresh_active())
            assert await store.forget("a", record) is None


async def test_a_direct_connection_keeps_its_named_statements(dsn: str) -> None:
    async with OpenPostgresStore(dsn) as store:
        await store.load("a")
        names = "SELECT bool_and(name LIKE '\\_\\_asyncpg\\_stmt\\_%'), count(*) > 0 FROM pg_prepared_statements"
        named = await store.database.run(lambda connection: connection.fetchrow(names))
    assert tuple(named) == (True, True)


async def test_a_setting_in_the_address_that_the_pooler_refuses_is_named_as_such(
    plain_pooler: PgBouncer, dsn: str
) -> None:
    with pytest.raises(StoreUnavailableError, match="leave settings of the server out of the address"):
        await PostgresStore(f"{plain_pooler.dsn_of(dsn)}?lock_timeout=3000").__aenter__()
