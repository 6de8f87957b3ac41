"""An answer that is lost on its way, after the commit: the verb is sent again, and tells what it has done."""

from collections.abc import AsyncIterator

import pytest

from examples.partner_cluster.postgres import Postgres
from mimi_async.errors import StoreUnavailableError
from mimi_async.stores import DamagedIdentity, PostgresStore
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending
from tests.postgres.wire import Wire

from .tables import Tables


@pytest.fixture
def tables(postgres: Postgres) -> Tables:
    return Tables.make(postgres)


@pytest.fixture
async def wire(tables: Tables) -> AsyncIterator[Wire]:
    async with Wire(tables.dsn) as wire:
        yield wire


@pytest.fixture
async def store(tables: Tables, wire: Wire) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(wire.dsn, schema=tables.schema) as store:
        yield store


async def test_a_claim_whose_answer_is_lost_has_won(store: PostgresStore, wire: Wire) -> None:
    record = fresh_pending()
    wire.cuts = 2
    assert await store.claim("a", record) == record
    assert wire.cuts == 0
    assert await store.claim("a", fresh_pending()) == record


async def test_a_claim_that_lost_and_whose_answer_is_lost_has_lost(store: PostgresStore, wire: Wire) -> None:
    winner = await store.claim("a", fresh_pending())
    wire.cuts = 2
    assert await store.claim("a", fresh_pending()) == winner
    assert await store.load("a") == winner


async def test_a_replacement_whose_answer_is_lost_is_there(store: PostgresStore, wire: Wire) -> None:
    first, second, third = fresh_pending(), fresh_active(), fresh_active()
    wire.cuts = 1
    assert await store.replace("a", None, first) == first
    wire.cuts = 2
    assert await store.replace("a", first, second) == second
    assert wire.cuts == 0
    assert await store.replace("a", first, third) == second
    assert await store.load("a") == second


async def test_what_is_forgotten_while_the_answer_is_lost_is_gone(
    store: PostgresStore, wire: Wire, tables: Tables
) -> None:
    record = await store.claim("a", fresh_active())
    wire.cuts = 2
    assert await store.forget("a", record) is None
    assert wire.cuts == 0
    assert await store.load("a") is None
    assert tables.tell("SELECT count(*) FROM {a}") == "0"


async def test_what_is_set_aside_while_the_answer_is_lost_is_there_once(
    store: PostgresStore, wire: Wire, tables: Tables
) -> None:
    record = await store.claim("a", fresh_active())
    wire.cuts = 2
    assert await store.set_aside("a", record) is None
    assert await store.load("a") is None
    assert tables.tell("SELECT secret FROM {a}") == record.secret.reveal()


async def test_damage_that_is_moved_while_the_answer_is_lost_is_there_once(
    store: PostgresStore, wire: Wire, tables: Tables
) -> None:
    record = await store.claim("a", fresh_active())
    tables.tell("UPDATE {t} SET secret = 'gone'")
    wire.spares, wire.cuts = 1, 1
    assert await store.forget("a", DamagedIdentity(record.revision)) is None
    assert wire.cuts == 0
    assert await store.load("a") is None
    assert tables.tell("SELECT secret FROM {a}") == "gone"


async def test_where_every_answer_is_lost_nobody_says_what_was_done(store: PostgresStore, wire: Wire) -> None:
    record = fresh_pending()
    wire.cuts = 5
    with pytest.raises(StoreUnavailableError, match="the connection was lost") as caught:
        await store.claim("a", record)
    assert caught.value.__context__ is None
    assert await store.load("a") == record
