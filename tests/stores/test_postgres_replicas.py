"""A replica of PostgreSQL, which may lag behind: what it does not hold is never taken for "no record"."""

from collections.abc import AsyncIterator, Iterator
from unittest.mock import AsyncMock

import asyncpg
import pytest

from mimi_async.databases.postgres import database
from mimi_async.errors import StoreUnavailableError
from mimi_async.secret import CreateKey
from mimi_async.server.keyfile import load_from_environment
from mimi_async.server.users import postgres_schema
from mimi_async.server.users.postgres import PostgresUserRepository
from mimi_async.server.users.repository import NewUser, UnverifiedClient
from mimi_async.stores import PostgresStore
from mimi_async.testing.store_contract_base import fresh_active
from tests.databases.postgres.standby import Standby, demote
from tests.server.on_postgres import ENVIRON

from ..postgres_server import Postgres
from .tables import Tables

KEYS = load_from_environment(ENVIRON)
ONLY_READS = "is not available: it only reads: after a failover its address must lead to the new primary"


@pytest.fixture(scope="module")
def primary() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def tables(primary: Postgres) -> Tables:
    primary.execute(postgres_schema.SCHEMA.script)
    return Tables.make(primary)


@pytest.fixture(scope="module")
def standby(primary: Postgres, tables: Tables) -> Iterator[Postgres]:
    with Standby(primary) as server:
        yield server


@pytest.fixture(params=["address", "pool"])
async def replica(request: pytest.FixtureRequest, tables: Tables, standby: Postgres) -> AsyncIterator[PostgresStore]:
    """A store whose host lets it reach a replica."""
    if request.param == "address":
        yield PostgresStore(f"{standby.dsn}?target_session_attrs=any", schema=tables.schema)
    else:
        async with asyncpg.create_pool(standby.dsn, min_size=0) as pool:
            yield PostgresStore(pool, schema=tables.schema)


async def test_a_replica_is_not_opened(replica: PostgresStore) -> None:
    for open_it in (replica.__aenter__, replica.init):
        with pytest.raises(StoreUnavailableError, match=ONLY_READS):
            await open_it()


async def test_a_replica_behind_a_pooler_that_hides_it_is_not_opened(
    replica: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "check_writable", lambda _: None)  # as a pooler may
    with pytest.raises(StoreUnavailableError, match=ONLY_READS):
        await replica.__aenter__()


async def test_a_read_that_a_pooler_sends_to_a_replica_is_an_error(
    replica: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "check_writable", lambda _: None)
    monkeypatch.setattr(database.Database, "_check", AsyncMock())  # it was opened while the pooler led to the primary
    async with replica as store:
        for read in (store.load("z"), anext(aiter(store.accounts()))):
            with pytest.raises(StoreUnavailableError, match="it is a replica, or row security hides rows"):
                await read


async def test_a_read_of_the_identity_server_that_a_pooler_sends_to_a_replica_is_an_error(
    standby: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "check_writable", lambda _: None)
    monkeypatch.setattr(database.Database, "_check", AsyncMock())
    book = PostgresUserRepository(f"{standby.dsn}?target_session_attrs=any")
    caller, user, key = UnverifiedClient("acme-player", b"s" * 32), "0" * 32, CreateKey.generate()
    assert KEYS is not None
    candidate = NewUser(KEYS, key, KEYS.digest_create_key(key))
    await book.open()
    for read in (
        book.find(caller, b"d" * 32),
        book.create(caller, candidate, may_make=False),
        book.read(user),
        book.change(user, {}),
        book.export(user),
        book.tests(user, None),
    ):
        with pytest.raises(StoreUnavailableError, match="it is a replica, or row security hides rows"):
            await read
    await book.close()


async def test_an_address_leads_to_no_replica_unless_it_says_so(tables: Tables, standby: Postgres) -> None:
    with pytest.raises(StoreUnavailableError, match="no server at its address can be written to"):
        await PostgresStore(standby.dsn, schema=tables.schema).__aenter__()


async def test_the_replica_that_answers_when_its_primary_is_gone_is_asked_nothing(
    tables: Tables, primary: Postgres, standby: Postgres
) -> None:
    hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
    dsn = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=any"
    async with PostgresStore(dsn, schema=tables.schema) as store:
        record = await store.claim("a", fresh_active())
        primary.stop()
        try:
            for ask in (store.load("a"), store.claim("a", fresh_active()), anext(aiter(store.accounts()))):
                with pytest.raises(StoreUnavailableError, match=ONLY_READS):
                    await ask
        finally:
            primary.start()
        assert await store.load("a") == record


async def test_a_primary_that_became_a_replica_is_asked_nothing_until_it_is_promoted(
    tables: Tables, primary: Postgres
) -> None:
    async with tables.pooled() as store:
        record = await store.claim("b", fresh_active())
        demote(primary)
        try:
            with pytest.raises(StoreUnavailableError, match=ONLY_READS):
                await store.load("b")
        finally:
            primary.execute("SELECT pg_promote()")
        assert await store.load("b") == record
