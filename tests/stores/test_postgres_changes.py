"""`changes()` yields the changes of other stores and those by hand; it leaves out the changes of its own store."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, cast

import pytest

from mimi_async import MimiCore, UserUpdate
from mimi_async.errors import ConfigurationError, StoreUnavailableError
from mimi_async.stores import DamagedIdentity, PostgresStore, StoredIdentity
from mimi_async.stores.base import Change, account_digest
from mimi_async.stores.postgres.own_changes import OwnChangeFilter, name_deletion, name_replacement
from mimi_async.testing import IdentityServer
from mimi_async.testing.store_contract_base import fresh_active, fresh_pending
from tests.databases.postgres.subscriber import Subscriber
from tests.databases.postgres.wire import Wire

from .tables import Tables

Changes = Subscriber[Change]
OF_A, MISSED = Change(account_digest("a")), Change(None)


def subscribe(store: PostgresStore) -> Changes:
    return Subscriber(cast("AsyncGenerator[Change, None]", store.changes()), MISSED)


@pytest.fixture
async def here(tables: Tables) -> AsyncIterator[PostgresStore]:
    async with tables.store() as store:
        yield store


@pytest.fixture
async def there(tables: Tables) -> AsyncIterator[PostgresStore]:
    async with tables.store() as store:
        yield store


@pytest.fixture
async def subscriber(here: PostgresStore) -> AsyncIterator[Changes]:
    async with subscribe(here) as subscriber:
        yield subscriber


async def expect_b_next(subscriber: Changes, there: PostgresStore) -> None:
    """Check that nothing was yielded until now: the order of changes is that of the commits."""
    await there.forget("b", await there.claim("b", fresh_pending()))
    assert await subscriber.next() == Change(account_digest("b"))


CHANGES: dict[str, Callable[[PostgresStore, StoredIdentity], Awaitable[object]]] = {
    "replacement": lambda there, record: there.replace("a", record, fresh_active()),
    "log-out": lambda there, record: there.forget("a", record),
    "quarantine": lambda there, record: there.quarantine("a", record),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_by_another_store_is_yielded(
    subscriber: Changes, here: PostgresStore, there: PostgresStore, change: str
) -> None:
    record = await here.replace("a", await here.claim("a", fresh_pending()), fresh_active())
    assert record is not None
    await CHANGES[change](there, record)
    assert await subscriber.next() == OF_A


async def test_a_record_that_another_store_writes_where_there_was_none_is_yielded(
    subscriber: Changes, here: PostgresStore, there: PostgresStore
) -> None:
    await there.replace("a", None, fresh_active())
    assert await subscriber.next() == OF_A
    await here.replace("c", None, fresh_active())
    await expect_b_next(subscriber, there)


async def test_damage_that_another_store_quarantines_is_yielded(
    subscriber: Changes, here: PostgresStore, there: PostgresStore, tables: Tables
) -> None:
    record = await here.claim("a", fresh_active())
    tables.execute("UPDATE {t} SET secret = 'gone'")
    await there.forget("a", DamagedIdentity(record.revision))
    assert await subscriber.next() == OF_A


NO_REVISION, DELETION = "UPDATE {t} SET revision = NULL", "DELETE FROM {t}"


@pytest.mark.parametrize(
    "changes",
    [
        [DELETION],
        [NO_REVISION, "UPDATE {t} SET revision = digest", NO_REVISION, DELETION],
        ["UPDATE {t} SET revision = revision || revision"],
    ],
    ids=["deletion", "no revision", "a long revision"],
)
async def test_each_change_by_hand_is_yielded(
    subscriber: Changes, here: PostgresStore, tables: Tables, changes: list[str]
) -> None:
    await here.claim("a", fresh_active())
    for change in changes:
        tables.execute(change)
        assert await subscriber.next() == OF_A


async def test_a_truncation_means_that_any_record_may_be_gone(subscriber: Changes, tables: Tables) -> None:
    tables.execute("TRUNCATE {t}")
    assert await subscriber.next() == MISSED


async def test_a_creation_that_begins_is_not_yielded(
    subscriber: Changes, here: PostgresStore, there: PostgresStore
) -> None:
    await there.claim("a", fresh_pending())
    await there.claim("a", fresh_pending())
    await here.claim("a", fresh_pending())
    await expect_b_next(subscriber, there)


async def test_a_call_that_changes_nothing_is_not_yielded(
    subscriber: Changes, here: PostgresStore, there: PostgresStore
) -> None:
    record = await here.claim("a", fresh_active())
    await there.replace("a", fresh_active(), fresh_active())
    await there.forget("a", fresh_active())
    await there.quarantine("a", fresh_active())
    await there.replace("a", record, StoredIdentity.read("active", record.secret.reveal(), None, record.revision, 1.0))
    await expect_b_next(subscriber, there)


async def test_own_changes_are_not_yielded(
    subscriber: Changes, here: PostgresStore, there: PostgresStore, tables: Tables
) -> None:
    first, second = await here.claim("a", fresh_pending()), fresh_active()
    await here.replace("a", first, second)
    await here.forget("a", second)
    await here.quarantine("a", await here.claim("a", fresh_active()))
    third = await here.claim("a", fresh_active())
    tables.execute("UPDATE {t} SET secret = 'gone'")
    await here.forget("a", DamagedIdentity(third.revision))
    await expect_b_next(subscriber, there)


async def test_a_change_by_an_own_call_that_failed_is_yielded(tables: Tables, there: PostgresStore) -> None:
    async with Wire(tables.dsn) as wire, PostgresStore(wire.dsn, schema=tables.schema, listen=tables.dsn) as here:
        record, new = await here.claim("a", fresh_pending()), fresh_active()
        async with subscribe(here) as subscriber:
            for call in (here.replace("a", record, new), here.forget("a", new)):
                wire.cuts = 5
                with pytest.raises(StoreUnavailableError):
                    await call
                assert await subscriber.next() == OF_A
            await expect_b_next(subscriber, there)


def test_a_notification_that_arrives_before_its_statement_returns_is_held_back() -> None:
    published: list[Change] = []
    own, revision = OwnChangeFilter(published.append), bytes(range(16))
    message = f"{account_digest('a').hex()} {revision.hex()}"
    with own.expect(name_deletion(revision)):
        assert own.read(message) is None
    assert own.read(message) == OF_A, "it is left out once: the next is another change"
    with contextlib.suppress(StoreUnavailableError), own.expect(name_replacement(revision)):
        assert own.read(f"{message} {revision.hex()}") is None
        assert published == []
        raise StoreUnavailableError(message)
    assert published == [OF_A]
    assert own.read(f"{message} {revision.hex()}") == OF_A


def test_a_record_that_is_restored_by_hand_is_yielded_by_its_writer() -> None:
    own, revision = OwnChangeFilter(lambda _: None), bytes(range(16))
    message = f"{account_digest('a').hex()}  {revision.hex()}"
    with own.expect(name_replacement(revision)):
        pass
    assert own.read(message) is None
    assert own.read(message) == OF_A


def test_it_remembers_its_last_changes() -> None:
    own = OwnChangeFilter(lambda _: None)
    for number in range(10_001):
        with own.expect(name_replacement(number.to_bytes(16, "big"))):
            pass
    assert own.read(f"{bytes(16).hex()}  {(1).to_bytes(16, 'big').hex()}") is None
    assert own.read(f"{bytes(16).hex()}  {bytes(16).hex()}") is not None


@pytest.mark.parametrize("message", ["x", "x y z", "00 11 22 33", "00"])
async def test_an_unreadable_notification_may_mean_any_change(
    subscriber: Changes, tables: Tables, message: str
) -> None:
    tables.postgres.execute(f"NOTIFY {tables.schema}, '{message}'")
    assert await subscriber.next() == MISSED


async def test_all_subscribers_share_one_connection(
    subscriber: Changes, here: PostgresStore, there: PostgresStore, tables: Tables
) -> None:
    async with subscribe(here) as second:
        listening = f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%{tables.schema}%'"
        assert tables.postgres.execute(listening) == "1"
        for store in (there, here):  # each subscriber may need the changes of the other one
            await store.forget("a", await store.claim("a", fresh_pending()))
            assert await subscriber.next() == OF_A
            assert await second.next() == OF_A
    await expect_b_next(subscriber, there)


async def test_a_pool_lends_one_of_its_connections(tables: Tables, there: PostgresStore) -> None:
    async with tables.pooled(max_size=2) as here:
        async with subscribe(here) as subscriber:
            await there.forget("a", await here.claim("a", fresh_active()))
            assert await subscriber.next() == OF_A
            assert here.pool.get_size() == 2
        await asyncio.gather(*(here.load("a") for _ in range(20)))
        assert here.pool.get_size() == 2


async def test_listens_at_the_address_that_is_given(tables: Tables, there: PostgresStore) -> None:
    async with Wire(tables.dsn) as wire:
        store = PostgresStore(wire.dsn, schema=tables.schema, listen=tables.dsn)
        async with store as here, subscribe(here) as subscriber:
            wire.is_dropping = True
            await there.forget("a", await there.claim("a", fresh_active()))
            assert await subscriber.next() == OF_A
            wire.is_dropping = False


def test_refuses_an_address_to_listen_at_that_is_not_valid(tables: Tables) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://"):
        tables.store(listen="localhost")


async def test_is_refused_in_another_event_loop(here: PostgresStore) -> None:
    async def first() -> Any:
        return await anext(here.changes())

    with pytest.raises(ConfigurationError, match="open in another event loop"):
        await asyncio.to_thread(lambda: asyncio.run(first()))


async def test_leaving_the_store_ends_its_iterators(tables: Tables) -> None:
    async with tables.store() as here:
        changes = here.changes()
        assert await anext(changes) == MISSED
    with pytest.raises(StopAsyncIteration):
        await anext(changes)


@pytest.mark.parametrize("is_by_hand", [False, True], ids=["log out", "truncate"])
async def test_a_user_that_logs_out_in_one_core_is_gone_in_another(tables: Tables, is_by_hand: bool) -> None:
    published: asyncio.Queue[UserUpdate] = asyncio.Queue()
    async with IdentityServer() as server, AsyncExitStack() as stack:
        cores = [MimiCore(server.credentials, server=server.url, store=tables.store()) for _ in range(2)]
        here, there = [await stack.enter_async_context(core) for core in cores]
        user = await there.auth.ensure_user()
        assert await here.auth.ensure_user() == user
        here.observe(lambda _, **update: published.put_nowait(UserUpdate(**update)))
        if is_by_hand:
            tables.execute("TRUNCATE {t}")
        else:
            await there.auth.log_out(discard_id=True)
        async with asyncio.timeout(1):
            assert await published.get() == UserUpdate(None, user, None)
