"""The store in PostgreSQL, held to the contract of all stores, by each way to reach a database; and what is its own."""

import asyncio
import os
import uuid
from pathlib import Path

import asyncpg
import pytest

from mimi_async.errors import ConfigurationError, NotStartedError, StoreUnavailableError
from mimi_async.stores import IdentityStore, PostgresStore, open_store
from mimi_async.testing.store_contract import StoreContract
from mimi_async.testing.store_contract_base import fresh_active, fresh_pending

from ..postgres_server import Postgres
from .tables import Tables


class TestPostgresStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _tables(self, postgres: Postgres) -> None:
        self.tables = Tables.make(postgres)

    def make_store(self, folder: Path) -> IdentityStore:
        return self.tables.store()

    def damage(self, folder: Path, account: str) -> None:
        self.tables.execute(f"UPDATE {{t}} SET secret = 'gone' WHERE account = '{account}'")


class TestPostgresStoreOnASerializablePool(TestPostgresStore):
    isolation = "serializable"

    def make_store(self, folder: Path) -> IdentityStore:
        return self.tables.pooled(server_settings={"default_transaction_isolation": self.isolation})


if os.environ.get("MIMI_PROOF"):

    class TestPostgresStoreOnARepeatableReadPool(TestPostgresStoreOnASerializablePool):
        isolation = "repeatable read"


async def test_entering_creates_no_tables_and_names_the_command_that_does(postgres: Postgres) -> None:
    store = PostgresStore(postgres.dsn, schema="nowhere")
    with pytest.raises(ConfigurationError, match=r"identity store are not in this database: `mimi-async store init`"):
        await store.__aenter__()
    assert postgres.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'nowhere'") == "0"


async def test_many_may_create_the_tables_at_once_and_again(postgres: Postgres) -> None:
    stores = [PostgresStore(postgres.dsn, schema="many_made_it") for _ in range(8)]
    await asyncio.gather(*(store.init() for store in stores))
    async with stores[0] as store:
        record = await store.claim("a", fresh_pending())
        await stores[1].init()
        assert await store.load("a") == record


async def test_refuses_the_tables_of_a_newer_version(tables: Tables) -> None:
    tables.postgres.execute(f"UPDATE {tables.schema}.version SET version = 2")
    for enter in (tables.store().__aenter__, tables.store().init):
        with pytest.raises(ConfigurationError, match="are of version 2, this program knows 1: update"):
            await enter()


async def test_stores_in_two_schemas_of_a_database_know_nothing_of_each_other(
    store: PostgresStore, postgres: Postgres
) -> None:
    await store.claim("a", fresh_active())
    async with Tables.make(postgres).store() as other:
        assert await other.load("a") is None


async def test_a_url_names_it(tables: Tables) -> None:
    assert isinstance(open_store(tables.dsn), PostgresStore)
    assert isinstance(open_store(tables.dsn.replace("postgresql", "postgres", 1)), PostgresStore)


async def test_its_repr_shows_its_address_and_not_its_user() -> None:
    store = open_store("postgresql://anna:hush@10.0.0.7/ids?password=hush")
    assert repr(store) == "PostgresStore(postgresql://10.0.0.7/ids, schema='mimi_store')"
    assert not {word for word in ("anna", "hush") if word in repr(vars(store))}


async def test_does_not_answer_before_it_is_entered_and_after_it_is_left(tables: Tables) -> None:
    store = tables.store()
    for _ in range(2):
        with pytest.raises(NotStartedError, match="the identity store in PostgreSQL is not open"):
            await store.load("a")
        with pytest.raises(NotStartedError, match="the identity store in PostgreSQL is not open"):
            await anext(store.changes())
        async with store:
            assert await store.load("a") is None


async def test_a_given_pool_is_not_closed(tables: Tables) -> None:
    async with asyncpg.create_pool(tables.dsn, min_size=0) as pool:
        async with PostgresStore(pool, schema=tables.schema) as store:
            await store.claim("a", fresh_pending())
        assert await pool.fetchval(f"SELECT count(*) FROM {tables.schema}.identities") == 1


async def test_lists_all_accounts_page_by_page(store: PostgresStore, tables: Tables) -> None:
    names = sorted(["\U0001f442", "Ä", "a b", *(f"a-{number}" for number in range(2_100))])
    await asyncio.gather(*(store.claim(name, fresh_pending()) for name in names))
    tables.execute("UPDATE {t} SET secret = 'gone' WHERE account = 'a-7'")
    assert [account async for account in store.accounts()] == names


async def test_the_frames_that_an_error_goes_through_hold_no_secret(store: PostgresStore, tables: Tables) -> None:
    first, second = fresh_active(), fresh_active()
    await store.claim("a", first)
    tables.execute("ALTER TABLE {t} RENAME TO elsewhere")
    calls = (store.claim("a", second), store.replace("a", first, second), store.forget("a", first))
    for call in calls:
        with pytest.raises(StoreUnavailableError, match="its tables are gone") as caught:
            await call
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        shown = [repr(entry.frame.f_locals) for entry in caught.traceback[1:]]
        assert not any(record.secret.reveal() in text for text in shown for record in (first, second))


async def test_rows_that_row_security_begins_to_hide_are_unavailable(tables: Tables, postgres: Postgres) -> None:
    reader = f"r{uuid.uuid4().hex}"
    schema = tables.schema
    postgres.execute(
        f"CREATE ROLE {reader} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {reader};"
        f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {reader}"
    )
    async with PostgresStore(tables.dsn.replace("postgres@", f"{reader}@"), schema=schema) as store:
        record = await store.claim("a", fresh_active())
        tables.execute("ALTER TABLE {t} ENABLE ROW LEVEL SECURITY")
        for call in (
            store.load("a"),
            store.claim("a", fresh_active()),
            store.replace("a", record, fresh_active()),
            store.forget("a", record),
            store.quarantine("a", record),
            anext(aiter(store.accounts())),
        ):
            with pytest.raises(StoreUnavailableError):
                await call
        tables.execute("ALTER TABLE {t} DISABLE ROW LEVEL SECURITY")
        assert await store.load("a") == record


async def test_leaving_that_is_cancelled_still_closes_the_database(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tables.store()
    await store.__aenter__()
    store.stop_closing()
    leaving = asyncio.create_task(store.__aexit__(None, None, None))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    with pytest.raises(NotStartedError, match="is not open"):
        await store.load("a")
