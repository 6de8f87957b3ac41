"""An answer that is lost on its way, after the commit: the repeated verb returns what the first attempt did."""

from collections.abc import AsyncIterator

import pytest

from mimi_async.errors import StoreUnavailableError
from mimi_async.stores import DamagedIdentity, PostgresStore
from mimi_async.testing.store_contract_base import fresh_active, fresh_pending
from tests.databases.postgres.wire import Wire

from .tables import Tables


@pytest.fixture
async def wire(tables: Tables) -> AsyncIterator[Wire]:
    async with Wire(tables.dsn) as wire:
        yield wire


@pytest.fixture
async def store(tables: Tables, wire: Wire) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(wire.dsn, schema=tables.schema) as store:
        yield store


async def test_a_claim_whose_answer_is_lost_returns_the_winner(store: PostgresStore, wire: Wire) -> None:
    record = fresh_pending()
    for claimed in (record, fresh_pending()):
        wire.cuts = 2
        assert await store.claim("a", claimed) == record
        assert wire.cuts == 0
    assert await store.load("a") == record


async def test_a_replacement_whose_answer_is_lost_took_effect(store: PostgresStore, wire: Wire) -> None:
    first, second, third = fresh_pending(), fresh_active(), fresh_active()
    wire.cuts = 1
    assert await store.replace("a", None, first) == first
    wire.cuts = 2
    assert await store.replace("a", first, second) == second
    assert wire.cuts == 0
    assert await store.replace("a", first, third) == second
    assert await store.load("a") == second


@pytest.mark.parametrize("verb", ["forget", "quarantine"])
async def test_a_removal_whose_answer_is_lost_took_effect_once(
    store: PostgresStore, wire: Wire, tables: Tables, verb: str
) -> None:
    record = await store.claim("a", fresh_active())
    wire.cuts = 2
    assert await getattr(store, verb)("a", record) is None
    assert wire.cuts == 0
    assert await store.load("a") is None
    assert tables.execute("SELECT secret FROM {a}") == (record.secret.reveal() if verb == "quarantine" else "")


async def test_damage_that_is_moved_while_the_answer_is_lost_is_there_once(
    store: PostgresStore, wire: Wire, tables: Tables
) -> None:
    record = await store.claim("a", fresh_active())
    tables.execute("UPDATE {t} SET secret = 'gone'")
    wire.spares, wire.cuts = 1, 1
    assert await store.forget("a", DamagedIdentity(record.revision)) is None
    assert wire.cuts == 0
    assert await store.load("a") is None
    assert tables.execute("SELECT secret FROM {a}") == "gone"


async def test_where_every_answer_is_lost_the_outcome_is_unknown(store: PostgresStore, wire: Wire) -> None:
    record = fresh_pending()
    wire.cuts = 5
    with pytest.raises(StoreUnavailableError, match="the connection was lost") as caught:
        await store.claim("a", record)
    assert caught.value.__context__ is None
    assert await store.load("a") == record
