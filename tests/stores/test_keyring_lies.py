"""A keyring whose answers are wrong: an opening fails, and no record is lost, hidden or sealed with a lost key."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from mimi_async.errors import NotStartedError
from mimi_async.stores import KeyringStore, StoredIdentity
from mimi_async.testing.store_contract_base import fresh_active, fresh_pending

from .keyrings import FileKeyring, Verb, failure_of, fingerprint_at, keyring_at, store_at

OTHER_KEY = "b3RoZXIga2V5IG90aGVyIGtleSBvdGhlciBrZXkhISE="


async def fill(folder: Path) -> StoredIdentity:
    async with store_at(folder) as store:
        return await store.claim("a", fresh_active())


async def refused(store: KeyringStore, words: str) -> None:
    assert re.search(words, str(await failure_of(store, *keyring_at(store.path.parent).entries().values())))


async def test_not_found_is_unavailable_where_the_file_names_a_key(tmp_path: Path) -> None:
    record, backend = await fill(tmp_path), keyring_at(tmp_path)
    store = store_at(tmp_path, backend)
    backend.is_lying = True
    await refused(
        store,
        f"does not hold the key {fingerprint_at(tmp_path)} of the identity store {tmp_path}/ids.sqlite3; the records"
        " were kept: unlock the keyring, log in as the user .* only if the key is lost for good, move the file away",
    )
    assert backend.calls == ["get"], "nothing is written"
    backend.is_lying = False
    async with store:
        assert await store.load("a") == record
    with pytest.raises(NotStartedError, match="the keyring store"):
        await store.load("a")


async def test_another_keyring_is_unavailable_and_gets_no_key(tmp_path: Path) -> None:
    await fill(tmp_path)
    other = FileKeyring(tmp_path / "of another session")
    await refused(store_at(tmp_path, other), "does not hold the key")
    assert other.entries() == {}


async def test_a_copy_of_the_file_on_another_machine_is_unavailable(tmp_path: Path) -> None:
    await fill(tmp_path)
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "ids.sqlite3", tmp_path / "copy")
    await refused(store_at(tmp_path / "copy"), "does not hold the key")


@pytest.mark.parametrize("value", [OTHER_KEY, "gone", "", "\udcff"])
async def test_another_value_than_the_key_is_unavailable_and_kept(
    tmp_path: Path, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(tmp_path)
    before = keyring_at(tmp_path).entries()
    with monkeypatch.context() as patched:
        patched.setattr(FileKeyring, "get_password", lambda *_: value)
        failure = await failure_of(store_at(tmp_path), *([value] if len(value) > 10 else []))
    assert re.search("another value than the key .*; the value was kept", str(failure))
    assert keyring_at(tmp_path).entries() == before


async def test_a_keyring_that_keeps_nothing_seals_nothing(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    backend.is_lying = True
    store = store_at(tmp_path, backend)
    for _ in range(2):
        await refused(store, "did not keep the key that was written to it; no record was sealed with it")
        assert fingerprint_at(tmp_path) is None
    backend.is_lying = False
    async with store:
        await store.claim("a", fresh_pending())
    assert len(backend.entries()) == 1


@pytest.mark.parametrize("value", [OTHER_KEY, "gone", ""])
async def test_a_keyring_that_changes_what_it_is_given_seals_nothing(tmp_path: Path, value: str) -> None:
    backend = keyring_at(tmp_path)
    backend.after = lambda verb: backend.run("UPDATE entries SET password = ?", value) if verb == "set" else None
    await refused(store_at(tmp_path, backend), "did not keep the key that was written to it")
    assert fingerprint_at(tmp_path) is None


async def test_a_keyring_that_forgets_what_it_kept_seals_nothing(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    backend.after = lambda verb: backend.run("DELETE FROM entries") if verb == "get" else None
    await refused(store_at(tmp_path, backend), "does not hold the key")
    await refused(store_at(tmp_path), "does not hold the key")


@pytest.mark.parametrize("may_delete", [True, False], ids=["deletes", "refuses to delete"])
async def test_a_store_that_comes_second_takes_the_key_of_the_first_and_deletes_its_own(
    tmp_path: Path, may_delete: bool
) -> None:
    backend = keyring_at(tmp_path)
    records: list[StoredIdentity] = []

    def let_another_be_first(verb: Verb) -> None:
        """Let another store open the file between this store's key and its row."""
        if verb == "get" and not records:
            records.append(asyncio.run(fill(tmp_path)))

    def refuse(verb: Verb) -> None:
        if verb == "delete" and not may_delete:
            raise PermissionError

    backend.after, backend.before = let_another_be_first, refuse
    async with store_at(tmp_path, backend) as store:
        assert await store.load("a") == records[0]
        await store.claim("b", fresh_active())
    assert backend.calls == ["set", "get", "delete", "get"]
    assert fingerprint_at(tmp_path) in backend.entries()
    assert len(backend.entries()) == (1 if may_delete else 2)
    async with store_at(tmp_path) as store:
        assert await store.load("b")
