"""A keyring that says "not found" is believed only where no record was written."""

import os
import stat
from pathlib import Path

import keyring.errors
import pytest

from mimi_async.errors import StoreCorruptError, StoreUnavailableError
from mimi_async.stores import KeyringStore, StoredIdentity
from mimi_async.stores.keyring.markers import name_of
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending

from .keyrings import FileKeyring, failing_with, keyring_at, marker_at, nothing, store_at

LIE = "says that there is no record of the account, and one was written: unlock the keyring, or log in to the session"


async def refused(store: KeyringStore, record: StoredIdentity, words: str = LIE) -> None:
    """No verb believes what the keyring says, and none writes to it."""
    calls = (
        store.load("a"),
        store.claim("a", fresh_pending()),
        store.replace("a", None, fresh_pending()),
        store.replace("a", record, fresh_pending()),
        store.forget("a", None),
        store.forget("a", record),
        store.set_aside("a", record),
    )
    for call in calls:
        with pytest.raises(StoreUnavailableError, match=words):
            await call


async def test_not_found_is_no_answer_where_a_record_was_written(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        record = await store.claim("a", fresh_active())
        backend.is_lying, before = True, backend.entries()
        await refused(store, record)
        with pytest.raises(StoreUnavailableError, match=f"if it was deleted on purpose, delete {marker_at(tmp_path)}"):
            await store.load("a")
        assert [account async for account in store.accounts()] == ["a"]
        backend.is_lying = False
        assert backend.entries() == before
        assert await store.load("a") == record


async def test_a_keyring_that_keeps_nothing_claims_nothing(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        backend.is_lying = True
        with pytest.raises(StoreUnavailableError, match="did not keep what was written to it"):
            await store.claim("a", fresh_pending())
        assert await store.load("a") is None
        assert [account async for account in store.accounts()] == []
        backend.is_lying = False
        assert [account async for account in store.accounts()] == ["a"]


async def test_once_a_first_claim_that_was_cut_off_is_told_to_anybody_it_is_there_for_good(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        backend.is_lying = True
        with pytest.raises(StoreUnavailableError):
            await store.claim("a", fresh_pending())
        backend.is_lying = False
        record = await store.load("a")
        assert record is not None
        backend.is_lying = True
        await refused(store, record)


async def test_who_has_a_record_is_told_without_the_keyring(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        await store.claim("a", fresh_active())
        backend.before = failing_with(keyring.errors.KeyringLocked())
        assert [account async for account in store.accounts()] == ["a"]


async def test_the_deletion_by_hand_counts_when_the_marker_is_deleted_too(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        await store.claim("a", fresh_active())
        backend._run("DELETE FROM entries")
        with pytest.raises(StoreUnavailableError):
            await store.load("a")
        marker_at(tmp_path).unlink()
        assert await store.load("a") is None


async def test_another_record_than_was_written_last_is_not_believed(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        old = await store.claim("a", fresh_active())
        (text,) = backend.entries().values()
        new = await store.replace("a", old, fresh_active())
        assert new is not None
        backend.spoil("a", text)
        await refused(store, new, "holds another record of the account than was written last; it was kept")
        with pytest.raises(StoreUnavailableError, match=f"restored backup, delete {marker_at(tmp_path)}"):
            await store.load("a")
        marker_at(tmp_path).unlink()
        assert await store.load("a") == old


@pytest.mark.parametrize("error", [keyring.errors.KeyringLocked(), keyring.errors.PasswordSetError("denied"), None])
async def test_a_keyring_that_did_not_forget_a_record_is_not_believed_that_there_is_none(
    tmp_path: Path, error: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        record = await store.claim("a", fresh_active())
        with monkeypatch.context() as patched:
            patched.setattr(backend, "set_password", nothing if error is None else failing_with(error))
            with pytest.raises(StoreUnavailableError):
                await store.forget("a", record)
        backend.is_lying = True
        assert [account async for account in store.accounts()] == ["a"]
        await refused(store, record)
        backend.is_lying = False
        assert await store.load("a") == record
        assert await store.forget("a", record) is None
        assert await store.load("a") is None
        assert [account async for account in store.accounts()] == []


async def test_a_tombstone_counts_only_where_it_was_set_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        monkeypatch.setattr(backend, "delete_password", nothing)
        await store.forget("a", await store.claim("a", fresh_active()))
        old = backend.entries()[name_of("a")]
        record = await store.claim("a", fresh_active())
        whole = backend.entries()[name_of("a")]
        backend.spoil("a", old)
        await refused(store, record, "holds another record of the account than was written last")
        assert [account async for account in store.accounts()] == ["a"]
        backend.spoil("a", whole)
        backend.after = lambda verb: backend.spoil("a", old) if verb == "set" else None
        with pytest.raises(StoreUnavailableError, match="did not keep"):
            await store.forget("a", record)
        assert [account async for account in store.accounts()] == ["a"]
        await refused(store, record, "holds another record of the account than was written last")
        marker_at(tmp_path).write_text("damage")
        await refused(store, record, "holds another record of the account than was written last")
        backend.spoil("a", whole)
        assert await store.load("a") == record
        marker_at(tmp_path).unlink()
        backend.spoil("a", old)
        assert await store.load("a") is None


async def test_a_marker_is_on_the_disk_before_the_keyring_is_told_and_before_the_caller_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    copied, written = ("set", "get"), ("marker", "folder", "set", "get", "marker", "folder")

    def sync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "marker")

    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        monkeypatch.setattr(os, "fsync", sync)
        backend.before = steps.append
        record = await store.claim("a", fresh_active())
        assert steps == ["get", *written]
        steps.clear()
        record = await store.replace("a", record, fresh_active()) or record
        assert steps == ["get", *copied, *written, "delete"]
        steps.clear()
        await store.forget("a", record)
        assert steps == ["get", *copied, *written, "delete", "get", "delete", "folder"]


async def test_a_marker_takes_the_place_of_another_as_a_whole(tmp_path: Path) -> None:
    async with store_at(tmp_path) as store:
        record = await store.claim("a", fresh_active())
        old = tmp_path / "old"
        old.hardlink_to(marker_at(tmp_path))
        text = old.read_bytes()
        await store.replace("a", record, fresh_active())
        assert old.read_bytes() == text != marker_at(tmp_path).read_bytes()


async def test_a_lost_marker_is_made_again_before_the_record_is_told(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        record = await store.claim("a", fresh_active())
        marker_at(tmp_path).unlink()
        assert await store.load("a") == record
        backend.is_lying = True
        await refused(store, record)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"doing": "writing"}', "\\ud800", "9" * 5000, "[" * 100_000])
async def test_a_marker_that_can_not_be_read_says_that_there_is_a_record(tmp_path: Path, text: str) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        record = await store.claim("a", fresh_active())
        marker_at(tmp_path).write_text(text)
        with pytest.raises(StoreCorruptError, match="the name of an account can't be read from its marker"):
            [_ async for _ in store.accounts()]
        backend.is_lying = True
        await refused(store, record)
        backend.is_lying = False
        assert await store.load("a") == record
        assert [account async for account in store.accounts()] == ["a"]


async def test_every_truncation_and_bit_flip_of_a_marker_keeps_the_record(tmp_path: Path) -> None:
    async with store_at(tmp_path) as store:
        record = await store.claim("a", fresh_active())
        whole = marker_at(tmp_path).read_bytes()
        damaged = [whole[:size] for size in range(len(whole))]
        flips = [(place, 1 << bit) for place in range(len(whole)) for bit in range(8)]
        damaged += [whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :] for place, flip in flips]
        lying = FileKeyring(tmp_path / "empty")
        async with store_at(tmp_path, lying) as other:
            for text in damaged:
                marker_at(tmp_path).write_bytes(text)
                with pytest.raises(StoreUnavailableError):
                    await other.load("a")
        assert lying.entries() == {}
        marker_at(tmp_path).write_bytes(whole)
        assert await store.load("a") == record


async def test_a_marker_of_another_account_is_no_marker_of_this_one(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        await store.claim("b", fresh_active())
        marker_b = marker_at(tmp_path, "b")
        record = await store.claim("a", fresh_active())
        marker_b.replace(marker_at(tmp_path, "a"))
        assert await store.load("a") == record
        backend.is_lying = True
        await refused(store, record)


async def test_a_record_that_turns_up_counts_where_nobody_was_told_of_another(tmp_path: Path) -> None:
    other = FileKeyring(tmp_path / "other.sqlite3")
    async with store_at(tmp_path) as store, store_at(tmp_path, other) as elsewhere:
        record = await store.claim("a", fresh_active())
        marker_at(tmp_path).unlink()
        other.before = lambda verb: failing_with(LookupError())() if verb == "set" else None
        with pytest.raises(StoreUnavailableError):
            await elsewhere.claim("a", fresh_pending())
        assert await store.load("a") == record
        with pytest.raises(StoreUnavailableError, match=LIE):
            await elsewhere.load("a")
