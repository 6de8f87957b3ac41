"""The audit of a store: how many records are in each state, and which need attention."""

import time
from collections import Counter
from pathlib import Path

import attrs

from mimi_async.stores import MemoryStore, SQLiteStore
from mimi_async.stores.audit import StoreAudit, audit_store
from mimi_async.stores.copying import BATCH_SIZE
from mimi_async.testing.store_contract_base import fresh_active, fresh_pending

from .damages import spoil


async def test_counts_the_records_by_state() -> None:
    store, active = MemoryStore(), fresh_active()
    for number, record in enumerate(
        (active, fresh_active(), active.with_state("rejected"), active.with_state("erasing"))
    ):
        await store.claim(f"a-{number}", record)
    audit = await audit_store(store)
    assert audit.states == Counter(active=2, rejected=1, erasing=1)
    assert (audit.seen, audit.corrupt, audit.pending, audit.stale) == (4, [], [], [])


async def test_an_empty_store_holds_nothing() -> None:
    assert await audit_store(MemoryStore()) == StoreAudit()


async def test_names_pending_creations_and_those_that_were_cut_off_long_ago() -> None:
    store, now = MemoryStore(), time.time()
    for account, age in (("young", 3500.0), ("old", 3700.0)):
        await store.claim(account, attrs.evolve(fresh_pending(), changed_at=now - age))
    await store.claim("active", attrs.evolve(fresh_active(), changed_at=0.0))
    audit = await audit_store(store)
    assert audit.states == Counter(pending=2, active=1)
    assert sorted(audit.pending) == ["old", "young"]
    assert audit.stale == ["old"]


async def test_counts_a_damaged_record_and_goes_on(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "ids") as store:
        for account in "abc":
            await store.claim(account, fresh_active())
        spoil(tmp_path / "ids", "secret = 'gone'")
        audit = await audit_store(store)
    assert (audit.seen, audit.states, audit.corrupt) == (3, Counter(active=2), ["a"])


async def test_reports_its_progress() -> None:
    store = MemoryStore()
    seen: list[int] = []
    for number in range(BATCH_SIZE + 1):
        await store.claim(f"a-{number}", fresh_active())
    await audit_store(store, lambda audit: seen.append(audit.seen))
    assert seen == [BATCH_SIZE, BATCH_SIZE + 1]


def test_its_repr_names_no_account() -> None:
    assert "a-17" not in repr(StoreAudit(corrupt=["a-17"], pending=["a-17"], stale=["a-17"]))


async def test_names_the_accounts_that_are_not_in_nfc() -> None:
    store = MemoryStore()
    for account in ("jose\u0301", "jos\u00e9", "anna"):
        await store.claim(account, fresh_active())
    audit = await audit_store(store)
    assert (audit.seen, audit.not_nfc) == (3, ["jose\u0301"])
