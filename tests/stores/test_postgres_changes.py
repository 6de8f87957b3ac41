"""What others change in PostgreSQL is told to whoever iterates `changes()`; what the store itself changes is not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Self

import pytest

from examples.partner_cluster.postgres import Postgres
from mimi_async import MimiCore, UserUpdate
from mimi_async.errors import ConfigurationError, StoreUnavailableError
from mimi_async.stores import DamagedIdentity, PostgresStore, StoredIdentity
from mimi_async.stores.base import Change, account_digest
from mimi_async.stores.postgres.news import OwnChanges, deletion_of, replacement_by
from mimi_async.testing import IdentityServer
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending
from tests.postgres.wire import Wire

from .tables import Tables

OF_A, MISSED = Change(account_digest("a")), Change(None)


class Ear:
    """Iterates the changes of a store, and remembers them."""

    def __init__(self, store: PostgresStore) -> None:
        self._changes = store.changes()
        self._heard: asyncio.Queue[Change] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._hear())
        assert await self.next() == MISSED
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _hear(self) -> None:
        async with contextlib.aclosing(self._changes) as changes:  # type: ignore[type-var]  # it is a generator
            async for change in changes:
                self._heard.put_nowait(change)

    async def next(self, within: float = 10.0) -> Change:
        async with asyncio.timeout(within):
            return await self._heard.get()


@pytest.fixture
def tables(postgres: Postgres) -> Tables:
    return Tables.make(postgres)


@pytest.fixture
async def here(tables: Tables) -> AsyncIterator[PostgresStore]:
    async with tables.store() as store:
        yield store


@pytest.fixture
async def there(tables: Tables) -> AsyncIterator[PostgresStore]:
    async with tables.store() as store:
        yield store


@pytest.fixture
async def ear(here: PostgresStore) -> AsyncIterator[Ear]:
    async with Ear(here) as ear:
        yield ear


async def the_next_is_of_b(ear: Ear, there: PostgresStore) -> None:
    """Nothing was told until now: the order of news is that of the commits."""
    await there.forget("b", await there.claim("b", fresh_pending()))
    assert await ear.next() == Change(account_digest("b"))


async def test_a_replacement_by_another_store_is_told(ear: Ear, here: PostgresStore, there: PostgresStore) -> None:
    record = await here.claim("a", fresh_pending())
    await there.replace("a", record, fresh_active())
    assert await ear.next(within=1.0) == OF_A


async def test_an_id_that_another_store_keeps_where_there_was_none_is_told(
    ear: Ear, here: PostgresStore, there: PostgresStore
) -> None:
    await there.replace("a", None, fresh_active())
    assert await ear.next(within=1.0) == OF_A
    await here.replace("c", None, fresh_active())
    await the_next_is_of_b(ear, there)


async def test_what_another_store_forgets_is_told(ear: Ear, here: PostgresStore, there: PostgresStore) -> None:
    record = await here.claim("a", fresh_active())
    await there.forget("a", record)
    assert await ear.next(within=1.0) == OF_A


async def test_what_another_store_sets_aside_is_told(ear: Ear, here: PostgresStore, there: PostgresStore) -> None:
    record = await here.claim("a", fresh_active())
    await there.set_aside("a", record)
    assert await ear.next(within=1.0) == OF_A


async def test_damage_that_another_store_moves_aside_is_told(
    ear: Ear, here: PostgresStore, there: PostgresStore, tables: Tables
) -> None:
    record = await here.claim("a", fresh_active())
    tables.tell("UPDATE {t} SET secret = 'gone'")
    await there.forget("a", DamagedIdentity(record.revision))
    assert await ear.next(within=1.0) == OF_A


@pytest.mark.parametrize(
    "change", ["DELETE FROM {t}", "UPDATE {t} SET revision = NULL", "UPDATE {t} SET revision = revision || revision"]
)
async def test_what_somebody_does_by_hand_is_told(ear: Ear, here: PostgresStore, tables: Tables, change: str) -> None:
    await here.claim("a", fresh_active())
    tables.tell(change)
    assert await ear.next(within=1.0) == OF_A


async def test_of_a_table_that_somebody_empties_it_is_told_that_anything_may_be_gone(ear: Ear, tables: Tables) -> None:
    tables.tell("TRUNCATE {t}")
    assert await ear.next(within=1.0) == MISSED


async def test_what_happens_to_a_damaged_revision_is_told(ear: Ear, here: PostgresStore, tables: Tables) -> None:
    await here.claim("a", fresh_active())
    for change in (
        "UPDATE {t} SET revision = NULL",
        "UPDATE {t} SET revision = digest",
        "UPDATE {t} SET revision = NULL",
    ):
        tables.tell(change)
        assert await ear.next() == OF_A
    tables.tell("DELETE FROM {t}")
    assert await ear.next() == OF_A


async def test_a_creation_that_begins_is_not_told(ear: Ear, here: PostgresStore, there: PostgresStore) -> None:
    await there.claim("a", fresh_pending())
    await there.claim("a", fresh_pending())
    await here.claim("a", fresh_pending())
    await the_next_is_of_b(ear, there)


async def test_what_changes_nothing_is_not_told(ear: Ear, here: PostgresStore, there: PostgresStore) -> None:
    record = await here.claim("a", fresh_active())
    await there.replace("a", fresh_active(), fresh_active())
    await there.forget("a", fresh_active())
    await there.set_aside("a", fresh_active())
    await there.replace("a", record, StoredIdentity.read("active", record.secret.reveal(), None, record.revision, 1.0))
    await the_next_is_of_b(ear, there)


async def test_own_changes_are_not_told(ear: Ear, here: PostgresStore, there: PostgresStore, tables: Tables) -> None:
    first, second = await here.claim("a", fresh_pending()), fresh_active()
    await here.replace("a", first, second)
    await here.forget("a", second)
    await here.set_aside("a", await here.claim("a", fresh_active()))
    third = await here.claim("a", fresh_active())
    tables.tell("UPDATE {t} SET secret = 'gone'")
    await here.forget("a", DamagedIdentity(third.revision))
    await the_next_is_of_b(ear, there)


async def test_what_others_do_to_a_record_that_is_ones_own_is_told(
    ear: Ear, here: PostgresStore, there: PostgresStore
) -> None:
    first, second = await here.claim("a", fresh_pending()), fresh_active()
    await here.replace("a", first, second)
    await there.forget("a", second)
    assert await ear.next() == OF_A


async def test_what_was_done_by_a_call_that_failed_is_told(tables: Tables, there: PostgresStore) -> None:
    async with Wire(tables.dsn) as wire, PostgresStore(wire.dsn, schema=tables.schema, listen=tables.dsn) as here:
        record, new = await here.claim("a", fresh_pending()), fresh_active()
        async with Ear(here) as ear:
            for call in (here.replace("a", record, new), here.forget("a", new)):
                wire.cuts = 5
                with pytest.raises(StoreUnavailableError):
                    await call
                assert await ear.next() == OF_A
            await the_next_is_of_b(ear, there)


def test_news_that_come_before_the_statement_has_returned_wait_for_its_end() -> None:
    told: list[Change] = []
    own, revision = OwnChanges(told.append), bytes(range(16))
    message = f"{account_digest('a').hex()} {revision.hex()}"
    with own.making(deletion_of(revision)):
        assert own.read(message) is None
    assert own.read(message) == OF_A, "it is told once: the next is somebody else's"
    with contextlib.suppress(StoreUnavailableError), own.making(replacement_by(revision)):
        assert own.read(f"{message} {revision.hex()}") is None
        assert told == []
        raise StoreUnavailableError(message)
    assert told == [OF_A]
    assert own.read(f"{message} {revision.hex()}") == OF_A


def test_a_record_that_somebody_puts_back_is_news_to_who_has_written_it() -> None:
    own, revision = OwnChanges(lambda _: None), bytes(range(16))
    message = f"{account_digest('a').hex()}  {revision.hex()}"
    with own.making(replacement_by(revision)):
        pass
    assert own.read(message) is None
    assert own.read(message) == OF_A


def test_it_remembers_the_last_of_what_it_has_done() -> None:
    own = OwnChanges(lambda _: None)
    for number in range(10_001):
        with own.making(replacement_by(number.to_bytes(16, "big"))):
            pass
    assert own.read(f"{bytes(16).hex()}  {(1).to_bytes(16, 'big').hex()}") is None
    assert own.read(f"{bytes(16).hex()}  {bytes(16).hex()}") is not None


@pytest.mark.parametrize("message", ["x", "x y z", "00 11 22 33", "00"])
async def test_what_nobody_can_read_may_mean_anything(ear: Ear, tables: Tables, message: str) -> None:
    tables.postgres.tell(f"NOTIFY {tables.schema}, '{message}'")
    assert await ear.next() == MISSED


async def test_all_who_iterate_are_told_over_one_connection(
    ear: Ear, here: PostgresStore, there: PostgresStore, tables: Tables
) -> None:
    async with Ear(here) as second:
        listening = f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%{tables.schema}%'"
        assert tables.postgres.tell(listening) == "1"
        await there.forget("a", await there.claim("a", fresh_pending()))
        assert await ear.next() == OF_A
        assert await second.next() == OF_A
    await the_next_is_of_b(ear, there)


async def test_a_pool_lends_one_of_its_connections(tables: Tables, there: PostgresStore) -> None:
    async with tables.pooled(max_size=2) as here:
        async with Ear(here) as ear:
            await there.forget("a", await here.claim("a", fresh_active()))
            assert await ear.next() == OF_A
            assert here.pool.get_size() == 2
        await asyncio.gather(*(here.load("a") for _ in range(20)))
        assert here.pool.get_size() == 2


async def test_it_listens_where_it_is_told_to(tables: Tables, there: PostgresStore) -> None:
    async with Wire(tables.dsn) as wire:
        store = PostgresStore(wire.dsn, schema=tables.schema, listen=tables.dsn)
        async with store as here, Ear(here) as ear:
            wire.swallows = True
            await there.forget("a", await there.claim("a", fresh_active()))
            assert await ear.next() == OF_A
            wire.swallows = False


def test_refuses_to_listen_at_no_address(tables: Tables) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://"):
        tables.store(listen="localhost")


async def test_is_refused_in_another_event_loop(here: PostgresStore) -> None:
    async def first() -> Any:
        return await anext(here.changes())

    with pytest.raises(ConfigurationError, match="open in another event loop"):
        await asyncio.to_thread(lambda: asyncio.run(first()))


async def test_leaving_the_store_ends_what_iterates(tables: Tables) -> None:
    async with tables.store() as here:
        changes = here.changes()
        assert await anext(changes) == MISSED
    with pytest.raises(StopAsyncIteration):
        await anext(changes)


@pytest.mark.parametrize("is_by_hand", [False, True], ids=["log out", "truncate"])
async def test_a_user_that_logs_out_in_one_core_is_gone_in_another(tables: Tables, is_by_hand: bool) -> None:
    told: asyncio.Queue[UserUpdate] = asyncio.Queue()
    async with IdentityServer() as server, AsyncExitStack() as stack:
        cores = [MimiCore(server.credentials, server=server.url, store=tables.store()) for _ in range(2)]
        here, there = [await stack.enter_async_context(core) for core in cores]
        user = await there.auth.ensure_user()
        assert await here.auth.ensure_user() == user
        here.observe(lambda _, **update: told.put_nowait(UserUpdate(**update)))
        if is_by_hand:
            tables.tell("TRUNCATE {t}")
        else:
            await there.auth.log_out()
        async with asyncio.timeout(1):
            assert await told.get() == UserUpdate(None, user, None)
