"""A PostgreSQL that is frozen, restarted or read-only, or ends connections: nothing is lost, and every call ends."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable

import asyncpg
import pytest

from mimi_async import MimiCore, StartupError, StoreUnavailableError
from mimi_async.stores import PostgresStore, StoredIdentity
from mimi_async.testing import IdentityServer
from mimi_async.testing.store_contract_base import fresh_active, fresh_pending
from tests.conftest import rounds

from ..postgres_server import Postgres
from .tables import Tables

SECONDS = 2.0
CREATION = "/v1/anonymous-users"


@pytest.fixture
def tables(own_postgres: Postgres) -> Tables:
    return Tables.make(own_postgres)


@pytest.fixture
async def store(tables: Tables) -> AsyncIterator[PostgresStore]:
    async with tables.store(timeout=SECONDS) as store:
        yield store


@pytest.fixture
async def server() -> AsyncIterator[IdentityServer]:
    async with IdentityServer() as server:
        yield server


def core_of(server: IdentityServer, store: PostgresStore) -> MimiCore:
    return MimiCore(server.credentials, server=server.url, store=store)


def creations(server: IdentityServer) -> int:
    return sum(request.path == CREATION for request in server.requests)


async def test_while_the_server_is_frozen_every_call_ends_and_afterwards_all_go_on(
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
                store.replace(f"a-{number}", record, record.with_state("rejected")),
                store.forget(f"c-{number}", record),
            )
        ]
        async with asyncio.timeout(SECONDS * 3):
            ended = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(each) for each in ended} == {StoreUnavailableError}
    found = await asyncio.gather(*(store.load(f"a-{number}") for number in range(25)))
    assert {_id(record) for record in found} == {_id(record) for record in records}
    assert len(await asyncio.gather(*(store.claim(f"d-{number}", fresh_pending()) for number in range(100)))) == 100


async def test_leaving_does_not_wait_for_a_frozen_server(own_postgres: Postgres, tables: Tables) -> None:
    store = tables.store(connect_timeout=1.0)
    await store.__aenter__()
    with own_postgres.frozen():
        async with asyncio.timeout(30):
            await store.__aexit__(None, None, None)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_restart_during_many_calls_loses_nothing_and_no_later_call_fails(
    own_postgres: Postgres, store: PostgresStore
) -> None:
    restart = asyncio.create_task(asyncio.to_thread(own_postgres.restart))
    kept: dict[str, StoredIdentity] = {}
    for number in itertools.count():
        account, record = f"a-{number}", fresh_pending()
        with contextlib.suppress(StoreUnavailableError):
            kept[account] = await store.claim(account, record)
        if restart.done():
            break
    await restart
    assert kept
    await asyncio.gather(*(store.load("a") for _ in range(10)))
    await asyncio.to_thread(own_postgres.restart)
    found = await asyncio.gather(*(store.load(account) for account in kept))
    assert found == list(kept.values())


async def test_back_ends_that_are_terminated_during_verbs_lose_nothing(tables: Tables, store: PostgresStore) -> None:
    verbs, at_once = asyncio.Queue[bool](), asyncio.Semaphore(20)
    killer = asyncio.create_task(_kill_back_ends(tables, verbs))

    async def live(number: int) -> bool:
        async with at_once:
            return await _life(store, f"a-{number}", verbs)

    outcomes = await asyncio.gather(*(live(number) for number in range(rounds(200, 5_000))))
    verbs.put_nowait(False)
    assert await killer > 0
    assert sum(outcomes) > len(outcomes) / 2


async def _kill_back_ends(tables: Tables, verbs: "asyncio.Queue[bool]") -> int:
    """Terminate two back ends after each forty verbs, however fast the machine is; return how many."""
    connection = await asyncpg.connect(tables.dsn)
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mimi-async'"
    killed = number = 0
    while await verbs.get():
        number += 1
        if number % 40 == 0:
            killed += len(await connection.fetch(f"{kill} ORDER BY random() LIMIT 2"))
    await connection.close()
    return killed


async def _life(store: PostgresStore, account: str, verbs: "asyncio.Queue[bool]") -> bool:
    """Write a record, replace it and forget it; each result is right; a failed verb may have taken effect."""

    async def count(verb: Awaitable[StoredIdentity | None]) -> StoredIdentity | None:
        try:
            return await verb
        finally:
            verbs.put_nowait(True)

    first, second = fresh_pending(), fresh_active()
    try:
        assert await count(store.claim(account, first)) == first
        assert await count(store.load(account)) == first
        assert await count(store.replace(account, first, second)) == second
        assert await count(store.load(account)) == second
        assert await count(store.forget(account, second)) is None
        assert await count(store.load(account)) is None
    except StoreUnavailableError:
        return False
    return True


async def test_an_exhausted_pool_is_unavailable_until_a_connection_is_free(tables: Tables) -> None:
    async with contextlib.AsyncExitStack() as stack:
        pool = await stack.enter_async_context(asyncpg.create_pool(tables.dsn, min_size=0, max_size=2))
        store = await stack.enter_async_context(PostgresStore(pool, schema=tables.schema, timeout=0.5))
        record = await store.claim("a", fresh_pending())
        async with pool.acquire(), pool.acquire():
            with pytest.raises(StoreUnavailableError, match=r"did not answer within 0.5 s"):
                await store.load("a")
        assert await store.load("a") == record


async def test_a_read_only_server_is_unavailable_and_keeps_its_records(
    own_postgres: Postgres, store: PostgresStore
) -> None:
    record = await store.claim("a", fresh_active())
    await asyncio.to_thread(_set_read_only, own_postgres, "on")
    try:
        for call in (store.claim("b", fresh_pending()), store.forget("a", record), store.load("a")):
            with pytest.raises(StoreUnavailableError, match=r"can be written to|it only reads"):
                await call
    finally:
        await asyncio.to_thread(_set_read_only, own_postgres, "off")
    assert await store.load("a") == record
    assert await store.load("b") is None


@pytest.mark.parametrize("fault", ["frozen", "stopped", "read-only"])
async def test_a_fault_creates_no_second_user_and_the_first_is_the_same_afterwards(
    own_postgres: Postgres, tables: Tables, server: IdentityServer, fault: str
) -> None:
    async with core_of(server, tables.store(timeout=SECONDS)) as core:
        user, other = await core.auth.ensure_user(), await core.auth_for("b")
        async with _failing(own_postgres, fault):
            with pytest.raises(StoreUnavailableError):
                await other.ensure_user()
            with pytest.raises(StartupError) as caught:
                await core_of(server, tables.store(timeout=SECONDS)).__aenter__()
            assert caught.value.phase == "store"
            assert isinstance(caught.value.__cause__, StoreUnavailableError)
            assert creations(server) == 1
        assert await other.ensure_user() != user
    async with core_of(server, tables.store()) as core:
        assert await core.auth.ensure_user() == user
    assert creations(server) == 2


@contextlib.asynccontextmanager
async def _failing(server: Postgres, fault: str) -> AsyncIterator[None]:
    begin, end = {
        "frozen": (server.freeze, server.thaw),
        "stopped": (server.stop, server.start),
        "read-only": (lambda: _set_read_only(server, "on"), lambda: _set_read_only(server, "off")),
    }[fault]
    await asyncio.to_thread(begin)
    try:
        yield
    finally:
        await asyncio.to_thread(end)


def _set_read_only(server: Postgres, value: str) -> None:
    server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
    server.restart()


def _id(record: StoredIdentity | None) -> str:
    assert record is not None
    return record.secret.reveal()
