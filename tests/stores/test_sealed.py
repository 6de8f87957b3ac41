"""The sealed store, held to the contract of all stores, and what is its own: what it seals, and what it shows."""

import asyncio
import base64
import pickle
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from mimi_async.errors import ConfigurationError
from mimi_async.secret import SealedSecret
from mimi_async.stores import IdentityStore, MemoryStore, SealedStore, SQLiteStore, StoredIdentity
from mimi_async.stores.base import SEALED, Change
from mimi_async.stores.sealed import _binding
from mimi_async.testing.store_contract import ODD_ACCOUNTS, StoreContract
from mimi_async.testing.store_contract_base import fresh_active, fresh_pending
from tests.auth.stores_for_tests import WatchedStore
from tests.conftest import rounds
from tests.doubles import OpenMemoryStore

from .rows import behind_the_back_of

KEY, OTHER_KEY = (Fernet.generate_key().decode() for _ in range(2))


class TestSealedSQLiteStore(StoreContract):
    def make_store(self, folder: Path) -> IdentityStore:
        return SealedStore(SQLiteStore(folder / "ids.sqlite3"), [KEY, OTHER_KEY])

    def damage(self, folder: Path, account: str) -> None:
        with behind_the_back_of(folder / "ids.sqlite3") as rows:
            rows.set("secret", rows.get("secret", account)[:-1], account)
            rows.update_digests()


class TestSealedSQLiteStoreOfDamagedRows(StoreContract):
    def make_store(self, folder: Path) -> IdentityStore:
        return SealedStore(SQLiteStore(folder / "ids.sqlite3"), [KEY])

    def damage(self, folder: Path, account: str) -> None:
        with behind_the_back_of(folder / "ids.sqlite3") as rows:
            rows.set("secret", b"gone", account)


class TestSealedMemoryStore(StoreContract):
    is_persistent: ClassVar[bool] = False

    def make_store(self, folder: Path) -> IdentityStore:
        self.inner = OpenMemoryStore()
        return SealedStore(self.inner, [KEY])

    def damage(self, folder: Path, account: str) -> None:
        record = self.inner.records[account]
        self.inner.records[account] = attrs.evolve(record, secret=SealedSecret(f"{SEALED}gone"))


# What is sealed -------------------------------------------------------------------------------------------------------


def a_record(state: Any, changed_at: float, *, is_named: bool) -> StoredIdentity:
    record = attrs.evolve(
        fresh_pending() if state == "pending" else fresh_active().with_state(state), changed_at=changed_at
    )
    return record if is_named else attrs.evolve(record, user_id=None)


KEYS = st.binary(min_size=32, max_size=32).map(base64.urlsafe_b64encode)
ACCOUNTS = st.sampled_from(ODD_ACCOUNTS) | st.text(min_size=1, max_size=200)
RECORDS = st.builds(
    a_record,
    st.sampled_from(["pending", "active", "rejected", "erasing"]),
    st.floats(allow_nan=False, allow_infinity=False),
    is_named=st.booleans(),
)


@settings(max_examples=rounds(30, 5000))
@given(account=ACCOUNTS, record=RECORDS, keys=st.lists(KEYS, min_size=1, max_size=4), first=st.integers(0, 3))
async def test_what_is_kept_comes_back_by_each_key_that_may_open_it(
    account: str, record: StoredIdentity, keys: list[bytes], first: int
) -> None:
    inner = MemoryStore()
    writer, reader = (SealedStore(inner, order) for order in (keys[first % len(keys) :] + keys[:first], keys))
    assert await writer.claim(account, record) == record
    assert await reader.load(account) == record
    assert await reader.claim(account, fresh_pending()) == record
    assert await reader.forget(account, record) is None
    assert await reader.replace(account, None, record) == record
    assert await writer.load(account) == record


@pytest.mark.parametrize("record", [fresh_active(), fresh_pending()], ids=["active", "pending"])
async def test_neither_the_file_nor_the_inner_store_shows_what_is_sealed(
    tmp_path: Path, record: StoredIdentity
) -> None:
    inner = SQLiteStore(tmp_path / "ids.sqlite3")
    async with SealedStore(inner, [KEY]) as store:
        await store.claim("a", record)
        kept = await inner.load("a")
        assert kept is not None
        assert attrs.evolve(kept, secret=record.secret) == record
        assert isinstance(kept.secret, SealedSecret)
        held = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert kept.secret.reveal().encode() in held
    assert record.secret.reveal().encode() not in held
    assert kept.secret.reveal() not in repr(kept)


async def test_the_length_of_a_sealed_secret_does_not_depend_on_the_account() -> None:
    inner, record = MemoryStore(), fresh_active()
    store = SealedStore(inner, [KEY])
    lengths = set()
    for account in ODD_ACCOUNTS:
        await store.claim(account, attrs.evolve(record, revision=account.encode()[:16].ljust(16)))
        stored = await inner.load(account)
        assert stored is not None
        lengths.add(len(stored.secret.reveal()))
    assert lengths == {191}


async def test_what_is_sealed_already_is_not_sealed_again() -> None:
    inner, other = MemoryStore(), MemoryStore()
    await SealedStore(inner, [KEY]).claim("a", fresh_active())
    sealed = await inner.load("a")
    assert sealed is not None
    for write in (SealedStore(other, [KEY]).claim("a", sealed), SealedStore(other, [KEY]).replace("a", None, sealed)):
        with pytest.raises(ConfigurationError, match="is sealed already; nothing was written"):
            await write
    assert await other.load("a") is None


@pytest.mark.parametrize("time", [0, 2**40], ids=["long ago", "by a clock that is far ahead"])
async def test_what_was_sealed_at_any_time_is_opened(time: int) -> None:
    inner, record = MemoryStore(), fresh_active()
    token = Fernet(KEY).encrypt_at_time(_binding("a", record) + record.secret.reveal().encode(), time)
    await inner.claim("a", attrs.evolve(record, secret=SealedSecret(SEALED + token.decode())))
    assert await SealedStore(inner, [KEY]).load("a") == record


# Its keys -------------------------------------------------------------------------------------------------------------

BAD_KEYS: dict[str, tuple[Any, str]] = {
    "none": ([], "there is none"),
    "a single text": (KEY, "there is none"),
    "a single key of bytes": (KEY.encode(), "there is none"),
    "a set": ({KEY}, "there is none"),
    "nothing": (None, "there is none"),
    "a short one": ([KEY[4:]], "key 1 is not valid"),
    "a long one": ([KEY, f"{OTHER_KEY[:-1]}AAAAA="], "key 2 is not valid"),
    "an empty one": ([KEY, OTHER_KEY, ""], "key 3 is not valid"),
    "no base64": ([KEY, f"{KEY[:-3]}ä4="], "key 2 is not valid"),
    "padding that is missing": ([KEY[:-1]], "key 1 is not valid"),
    "a number": ([17], "key 1 is not valid"),
    "a Fernet": ([Fernet(KEY)], "key 1 is not valid"),
}


@pytest.mark.parametrize("bad", BAD_KEYS)
def test_refuses_a_key_that_is_not_valid_and_says_how_to_create_one(bad: str) -> None:
    keys, flaw = BAD_KEYS[bad]
    with pytest.raises(ConfigurationError, match=rf"list of Fernet keys, and {flaw}: `Fernet\.generate_key") as caught:
        SealedStore(MemoryStore(), keys)
    error = caught.value
    assert (error.__cause__, error.__context__) == (None, None)
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame for frame in shown.stack if "mimi_async" in frame.filename]
    assert ours
    assert not [part for part in (KEY[4:-3], OTHER_KEY[4:-3]) if part in f"{error} {[frame.locals for frame in ours]}"]


def slots_of(value: object) -> tuple[str, ...]:
    return getattr(value, "__slots__", ()) if type(value).__module__.startswith("mimi_async") else ()


def test_shows_no_key_and_is_not_pickled() -> None:
    store = SealedStore(MemoryStore(), [KEY, OTHER_KEY.encode()])
    assert repr(store).startswith("SealedStore(<mimi_async.stores.memory.MemoryStore object")
    shown = repr(
        (store, vars(store), [getattr(each, name) for each in vars(store).values() for name in slots_of(each)])
    )
    raw = [form for key in (KEY, OTHER_KEY) for form in (key, repr(base64.urlsafe_b64decode(key))[2:-1])]
    assert not [key for key in raw if key in shown]
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(store)


# What it passes on ----------------------------------------------------------------------------------------------------


async def test_is_entered_and_left_with_the_inner_store() -> None:
    inner = WatchedStore(MemoryStore())
    async with SealedStore(inner, [KEY]):
        async with SealedStore(inner, [OTHER_KEY]):
            assert inner.is_entered == 2
        assert inner.is_entered == 1
    assert inner.is_entered == 0


class Listening(MemoryStore):
    async def changes(self) -> AsyncIterator[Change]:
        yield Change(b"digest")
        yield Change(None)


async def test_passes_on_the_accounts_and_the_changes_of_the_inner_store() -> None:
    store = SealedStore(Listening(), [KEY])
    await asyncio.gather(*(store.claim(account, fresh_active()) for account in ODD_ACCOUNTS))
    assert {account async for account in store.accounts()} == set(ODD_ACCOUNTS)
    assert [change async for change in store.changes()] == [Change(b"digest"), Change(None)]
