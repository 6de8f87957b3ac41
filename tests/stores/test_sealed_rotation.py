"""The key of a sealed store is changed while services run."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count, cycle
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from mimi_async.errors import ConfigurationError, StoreCorruptError, StoreUnavailableError
from mimi_async.stores import IdentityStore, MemoryStore, SealedStore, SQLiteStore, StoredIdentity
from mimi_async.testing.store_contract_base import fresh_active, fresh_pending
from tests.auth.stores_for_tests import AFTER_REPLACE, BEFORE_REPLACE, WatchedStore
from tests.doubles import FakeServer, Observer, OpenMemoryStore, core_of

from .rows import behind_the_back_of

FRESH = (fresh_active, fresh_pending)
OLD, NEW = (Fernet.generate_key() for _ in range(2))


class Listed(WatchedStore):
    def accounts(self) -> AsyncIterator[str]:
        return self.inner.accounts()


@pytest.fixture(params=["memory", "sqlite"])
async def inner(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Listed]:
    async with Listed(MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "ids.sqlite3")) as inner:
        yield inner


async def keep(inner: IdentityStore, *keys: bytes, records: int = 5) -> dict[str, StoredIdentity]:
    store = SealedStore(inner, keys)
    accounts = [f"{hash(keys[0])} {number}" for number in range(records)]
    return {
        account: await store.claim(account, fresh()) for account, fresh in zip(accounts, cycle(FRESH), strict=False)
    }


async def held(inner: IdentityStore, *keys: bytes) -> dict[str, StoredIdentity | None]:
    store = SealedStore(inner, keys)
    return {account: await store.load(account) async for account in store.accounts()}


async def test_a_change_of_the_key_loses_no_user(inner: Listed) -> None:
    records = await keep(inner, OLD)
    assert await held(inner, OLD, NEW) == records
    records |= await keep(inner, NEW, OLD)
    assert await held(inner, OLD, NEW) == records
    assert await SealedStore(inner, [NEW, OLD]).rotate() == 5
    assert await held(inner, NEW) == records
    inner.writes.clear()
    assert await SealedStore(inner, [NEW, OLD]).rotate() == 0
    assert inner.writes == []


async def test_a_rotation_that_was_cut_off_goes_on_when_it_is_run_again(inner: Listed) -> None:
    records = await keep(inner, OLD, records=100)
    store, numbers = SealedStore(inner, [NEW, OLD]), count()

    async def fail_at_the_fourth() -> None:
        if next(numbers) >= 3:
            msg = "gone"
            raise StoreUnavailableError(msg)

    inner.at(BEFORE_REPLACE, fail_at_the_fourth, times=200)
    with pytest.raises(StoreUnavailableError, match="gone"):
        await store.rotate()
    assert await held(inner, OLD, NEW) == records
    inner.clear_faults()
    assert await store.rotate() == 97
    assert await held(inner, NEW) == records


async def test_a_rotation_that_is_cancelled_goes_on_when_it_is_run_again(inner: Listed) -> None:
    records, reached = await keep(inner, OLD), asyncio.Event()

    async def hang() -> None:
        reached.set()
        await asyncio.Event().wait()

    inner.at(AFTER_REPLACE, hang)
    store = SealedStore(inner, [NEW, OLD])
    rotation = asyncio.create_task(store.rotate())
    await reached.wait()
    rotation.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rotation
    assert await held(inner, OLD, NEW) == records
    await store.rotate()
    assert await held(inner, NEW) == records


@pytest.mark.parametrize("writer", [[OLD, NEW], [NEW, OLD]], ids=["by the old key", "by the new key"])
async def test_a_record_that_changes_during_the_rotation_is_never_overwritten(
    inner: Listed, writer: list[bytes]
) -> None:
    ((account, record),) = (await keep(inner, OLD, records=1)).items()
    new = fresh_active()

    async def change() -> None:
        await SealedStore(inner.inner, writer).replace(account, record, new)

    inner.at(BEFORE_REPLACE, change)
    assert await SealedStore(inner, [NEW, OLD]).rotate() == (writer[0] == OLD)
    assert await held(inner, NEW) == {account: new}


async def test_a_record_that_is_forgotten_during_the_rotation_stays_so(inner: Listed) -> None:
    ((account, record),) = (await keep(inner, OLD, records=1)).items()

    async def forget() -> None:
        await SealedStore(inner.inner, [OLD]).forget(account, record)

    inner.at(BEFORE_REPLACE, forget)
    assert await SealedStore(inner, [NEW, OLD]).rotate() == 0
    assert await held(inner, NEW) == {}


async def test_an_empty_store_and_an_account_that_is_forgotten_before_it_is_read_are_no_error() -> None:
    class Slow(MemoryStore):
        async def accounts(self) -> AsyncIterator[str]:
            yield "forgotten"

    for inner in (MemoryStore(), Slow()):
        assert await SealedStore(inner, [NEW, OLD]).rotate() == 0


async def test_a_record_that_can_not_be_opened_is_kept_and_reported_after_the_others(tmp_path: Path) -> None:
    path = tmp_path / "ids.sqlite3"
    async with SQLiteStore(path) as inner:
        records = await keep(inner, OLD)
        lost = await keep(inner, Fernet.generate_key(), records=2)
        account = next(iter(records))
        with behind_the_back_of(path) as rows:
            rows.set("secret", b"gone", account)
            before = [rows.get("secret", each) for each in (*lost, account)]
            message = "3 records can't be opened, and were kept; 4 were sealed again: keep all keys"
            with pytest.raises(StoreCorruptError, match=message) as caught:
                await SealedStore(inner, [NEW, OLD]).rotate()
            assert caught.value.revision is None
            assert (caught.value.__cause__, caught.value.__context__) == (None, None)
            assert [rows.get("secret", each) for each in (*lost, account)] == before
        store = SealedStore(inner, [NEW])
        del records[account]
        assert {each: await store.load(each) for each in records} == records


async def test_a_secret_of_the_first_key_for_another_record_is_reported_too() -> None:
    inner = OpenMemoryStore()
    await keep(inner, NEW, records=2)
    one, other = inner.records
    inner.records[one] = inner.records[other]
    with pytest.raises(StoreCorruptError, match="1 records can't be opened, and were kept; 0 were sealed"):
        await SealedStore(inner, [NEW, OLD]).rotate()


async def test_a_store_that_can_not_list_its_accounts_can_not_be_rotated() -> None:
    with pytest.raises(ConfigurationError, match=r"has no accounts\(\)"):
        await SealedStore(WatchedStore(MemoryStore()), [NEW, OLD]).rotate()


async def test_a_service_runs_on_during_the_rotation(tmp_path: Path) -> None:
    server, observer = FakeServer(), Observer()
    store, operator = (SealedStore(SQLiteStore(tmp_path / "ids.sqlite3"), [NEW, OLD]) for _ in range(2))
    async with SealedStore(SQLiteStore(tmp_path / "ids.sqlite3"), [OLD]) as old, core_of(server, store=old) as core:
        user = await core.auth.ensure_user()
    async with core_of(server, store=store) as core, operator:
        core.observe(observer)
        assert await operator.rotate() == 1
        server.forget_tokens()
        onboarded = await core.auth.update_user(year_of_birth=1980)
        await core.auth.reset()
        assert observer.kinds[0] == (onboarded, user, None)
        assert len(observer.updates) == 2
        assert await operator.load("default") is None
        assert await core.auth.ensure_user() != user


async def test_two_rotations_at_once_lose_no_record(inner: Listed) -> None:
    records = await keep(inner, OLD)
    await asyncio.gather(*(SealedStore(inner, [NEW, OLD]).rotate() for _ in range(2)))
    assert await held(inner, NEW) == records
