"""A count of what a store holds: by state, with what wants somebody's attention."""

import time
from collections import Counter
from pathlib import Path

import attrs

from mimi_async.stores import MemoryStore, SQLiteStore
from mimi_async.stores.census import STALE_SECONDS, Census, take_census
from mimi_async.stores.copying import AT_ONCE
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending

from .test_damage import spoil


async def test_counts_the_records_by_state() -> None:
    store, active = MemoryStore(), fresh_active()
    for number, record in enumerate((active, fresh_active(), active.turned("rejected"), active.turned("erasing"))):
        await store.claim(f"a-{number}", record)
    census = await take_census(store)
    assert census.states == Counter(active=2, rejected=1, erasing=1)
    assert (census.seen, census.corrupt, census.stale) == (4, [], [])


async def test_an_empty_store_holds_nothing() -> None:
    assert await take_census(MemoryStore()) == Census()


async def test_names_the_creations_that_were_cut_off_long_ago() -> None:
    store, now = MemoryStore(), time.time()
    for account, age in (("young", STALE_SECONDS - 1), ("old", STALE_SECONDS + 1)):
        await store.claim(account, attrs.evolve(fresh_pending(), changed_at=now - age))
    await store.claim("active", attrs.evolve(fresh_active(), changed_at=0.0))
    census = await take_census(store, now=now)
    assert census.states == Counter(pending=2, active=1)
    assert census.stale == ["old"]


async def test_counts_a_damaged_record_and_goes_on(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "ids") as store:
        for account in "abc":
            await store.claim(account, fresh_active())
        spoil(tmp_path / "ids", "secret = 'gone'")
        census = await take_census(store)
    assert (census.seen, census.states, census.corrupt) == (3, Counter(active=2), ["a"])


async def test_tells_how_far_it_has_come() -> None:
    store = MemoryStore()
    seen: list[int] = []
    for number in range(AT_ONCE + 1):
        await store.claim(f"a-{number}", fresh_active())
    await take_census(store, lambda census: seen.append(census.seen))
    assert seen == [AT_ONCE, AT_ONCE + 1]


def test_its_repr_names_no_account() -> None:
    assert "a-17" not in repr(Census(corrupt=["a-17"], stale=["a-17"]))
