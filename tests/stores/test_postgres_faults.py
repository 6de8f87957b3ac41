"""A PostgreSQL that stands still, ends, throws everybody out, or only reads: nothing is lost, and nobody waits long."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from examples.partner_cluster.postgres import Postgres
from mimi_async import MimiCore, StartupError, StoreUnavailableError
from mimi_async.stores import PostgresStore, StoredIdentity
from mimi_async.testing import IdentityServer
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending
from tests.conftest import rounds

from .tables import Tables

SECONDS = 2.0
CREATION = "/v1/anonymous-users"


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture
def tables(own_postgres: Postgres) -> Tables:
    return Tables.make(own_postgres)


@pytest.fixture
async def store(tables: Tables) -> AsyncIterator[PostgresStore]:
    async with tables.store(seconds=SECONDS) as store:
        yield store


@pytest.fixture
async def server() -> AsyncIterator[IdentityServer]:
    async with IdentityServer() as server:
        yield server


def core_of(server: IdentityServer, store: PostgresStore) -> MimiCore:
    return MimiCore(server.credentials, server=server.url, store=store)


def creations(server: IdentityServer) -> int:
    return sum(request.path == CREATION for request in server.requests)


async def test_while_it_stands_still_every_call_ends_and_afterwards_all_goes_on(
    own_postgres: Postgres, store: PostgresStore
) -> None:
    records = [await store.claim(f"a-{number}", fresh_active()) for number in range(25)]
    with own_postgres.frozen():
        calls = [
            call
            for number, record in enumerate(records)
            for call in (
                store.load(f"a-{number}"),
                store.claim(f"b-{number}", fresh_pending()),
                store.replace(f"a-{number}", record, record.turned("rejected")),
                store.forget(f"c-{number}", record),
            )
        ]
        async with asyncio.timeout(SECONDS * 3):
            ended = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(each) for each in ended} == {StoreUnavailableError}
    found = await asyncio.gather(*(store.load(f"a-{number}") for number in range(25)))
    assert {_id(record) for record in found} == {_id(record) for record in records}
    assert len(await asyncio.gather(*(store.claim(f"d-{number}", fresh_pending()) for number in range(100)))) == 100


async def test_a_restart_in_the_midst_of_many_calls_loses_nothing(own_postgres: Postgres, store: PostgresStore) -> None:
    restart = asyncio.create_task(asyncio.to_thread(own_postgres.restart))
    kept: dict[str, StoredIdentity] = {}
    number = 0
    while not restart.done():
        account, record = f"a-{number}", fresh_pending()
        with contextlib.suppress(StoreUnavailableError):
            kept[account] = await store.claim(account, record)
        number += 1
    await restart
    assert kept
    for account, record in kept.items():
        assert await store.load(account) == record


async def test_back_ends_that_are_ended_in_the_middle_of_verbs_lose_nothing(
    tables: Tables, store: PostgresStore
) -> None:
    is_over = asyncio.Event()
    killer = asyncio.create_task(_kill_back_ends(tables, is_over))
    outcomes = await asyncio.gather(*(_life(store, f"a-{number}") for number in range(rounds(200, 5_000))))
    is_over.set()
    assert await killer > 0
    assert sum(outcomes) > len(outcomes) / 2


async def _kill_back_ends(tables: Tables, is_over: asyncio.Event) -> int:
    connection = await asyncpg.connect(tables.dsn)
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mimi-async'"
    killed = 0
    while not is_over.is_set():
        killed += len(await connection.fetch(f"{kill} ORDER BY random() LIMIT 2"))
        await asyncio.sleep(0.02)
    await connection.close()
    return killed


async def _life(store: PostgresStore, account: str) -> bool:
    """Write a record, replace it and forget it; whatever a verb tells is so, and what failed may be either."""
    first, second = fresh_pending(), fresh_active()
    try:
        assert await store.claim(account, first) == first
        assert await store.load(account) == first
        assert await store.replace(account, first, second) == second
        assert await store.load(account) == second
        assert await store.forget(account, second) is None
        assert await store.load(account) is None
    except StoreUnavailableError:
        return False
    return True


async def test_an_exhausted_pool_is_told_and_waited_for(tables: Tables) -> None:
    async with contextlib.AsyncExitStack() as stack:
        pool = await stack.enter_async_context(asyncpg.create_pool(tables.dsn, min_size=0, max_size=2))
        store = await stack.enter_async_context(PostgresStore(pool, schema=tables.schema, seconds=0.5))
        record = await store.claim("a", fresh_pending())
        async with pool.acquire(), pool.acquire():
            with pytest.raises(StoreUnavailableError, match=r"did not answer within 0.5 s"):
                await store.load("a")
        assert await store.load("a") == record


async def test_a_server_that_only_reads_is_no_place_to_write_and_keeps_what_it_has(
    own_postgres: Postgres, store: PostgresStore
) -> None:
    record = await store.claim("a", fresh_active())
    await asyncio.to_thread(_only_reads, own_postgres, "on")
    try:
        for call in (store.claim("b", fresh_pending()), store.forget("a", record), store.load("a")):
            with pytest.raises(StoreUnavailableError, match=r"can be written to|it only reads"):
                await call
    finally:
        await asyncio.to_thread(_only_reads, own_postgres, "off")
    assert await store.load("a") == record
    assert await store.load("b") is None


async def test_a_core_that_starts_while_it_stands_still_makes_nobody(
    own_postgres: Postgres, tables: Tables, server: IdentityServer
) -> None:
    core = core_of(server, tables.store(seconds=SECONDS))
    with own_postgres.frozen(), pytest.raises(StartupError) as caught:
        await core.__aenter__()
    assert caught.value.phase == "store"
    assert isinstance(caught.value.__cause__, StoreUnavailableError)
    assert list(server.requests) == []


@pytest.mark.parametrize("fault", ["frozen", "gone", "read-only"])
async def test_a_user_is_asked_for_while_it_fails_and_made_once_it_is_back(
    own_postgres: Postgres, tables: Tables, server: IdentityServer, fault: str
) -> None:
    async with core_of(server, tables.store(seconds=SECONDS)) as core:
        async with _failing(own_postgres, fault):
            with pytest.raises(StoreUnavailableError):
                await core.auth.ensure_user()
            assert creations(server) == 0
        user = await core.auth.ensure_user()
    assert creations(server) == 1
    async with core_of(server, tables.store()) as core:
        assert core.auth.current_user == user


@pytest.mark.parametrize("fault", ["frozen", "gone", "read-only"])
async def test_a_user_that_is_there_stays_the_same_through_a_fault(
    own_postgres: Postgres, tables: Tables, server: IdentityServer, fault: str
) -> None:
    async with core_of(server, tables.store()) as core:
        user = await core.auth.ensure_user()
    async with _failing(own_postgres, fault):
        with pytest.raises(StartupError) as caught:
            await core_of(server, tables.store(seconds=SECONDS)).__aenter__()
        assert caught.value.phase == "store"
    async with core_of(server, tables.store()) as core:
        assert await core.auth.ensure_user() == user
    assert creations(server) == 1


@contextlib.asynccontextmanager
async def _failing(server: Postgres, fault: str) -> AsyncIterator[None]:
    begin, end = {
        "frozen": (server.freeze, server.thaw),
        "gone": (server.stop, server.start),
        "read-only": (lambda: _only_reads(server, "on"), lambda: _only_reads(server, "off")),
    }[fault]
    await asyncio.to_thread(begin)
    try:
        yield
    finally:
        await asyncio.to_thread(end)


def _only_reads(server: Postgres, value: str) -> None:
    server.tell(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
    server.restart()


def _id(record: StoredIdentity | None) -> str:
    assert record is not None
    return record.secret.reveal()
