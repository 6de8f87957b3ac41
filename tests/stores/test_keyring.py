"""The keyring store: the contract of all stores, where its file is, and what it shows."""

import asyncio
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import keyring
import pytest
from cryptography.fernet import Fernet

from mimi_async.errors import ConfigurationError, NotStartedError, StoreUnavailableError
from mimi_async.stores import IdentityStore, KeyringStore, SealedStore, SQLiteStore, StoredIdentity
from mimi_async.stores.keyring.keys import SealingKey
from mimi_async.testing.store_contract import ODD_ACCOUNTS, StoreContract
from mimi_async.testing.store_contract_base import fresh_active, fresh_pending

from ..nearly_right import AROUND
from .keyrings import SERVICE, fingerprint_at, keyring_at, store_at
from .rows import behind_the_back_of


class TestKeyringStore(StoreContract):
    def make_store(self, folder: Path) -> IdentityStore:
        return store_at(folder)

    def damage(self, folder: Path, account: str) -> None:
        with behind_the_back_of(folder / "ids.sqlite3") as rows:
            rows.set("secret", rows.get("secret", account)[:-1], account)
            rows.update_digests()


async def test_is_open_only_while_it_is_entered(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    for _ in range(2):
        with pytest.raises(NotStartedError, match=r"the keyring store 'com\.example\.player' is not open"):
            await store.load("a")
        async with store:
            assert await store.load("a") is None


async def test_shows_its_service_and_its_file(tmp_path: Path) -> None:
    assert repr(store_at(tmp_path)) == f"KeyringStore('com.example.player', path='{tmp_path}/ids.sqlite3')"


@pytest.mark.parametrize(("service", "timeout"), [("", 1.0), ("a", 0.0), ("a", float("nan"))])
def test_is_refused_without_a_service_or_a_timeout(service: str, timeout: float) -> None:
    with pytest.raises(ConfigurationError, match="has a service, which is a text, and a timeout"):
        KeyringStore(service, timeout=timeout)


@pytest.mark.parametrize("flaw", AROUND)
def test_a_nearly_right_service_or_path_is_refused_with_its_flaw(flaw: str, tmp_path: Path) -> None:
    form, message = AROUND[flaw]
    with pytest.raises(ConfigurationError, match=f"the service of the KeyringStore {message}"):
        KeyringStore(form.format(SERVICE), path=tmp_path / "ids")
    with pytest.raises(ConfigurationError, match=f"the path of the identity store {message}"):
        KeyringStore(SERVICE, path=form.format(tmp_path / "ids"))


async def test_the_file_is_sealed_with_the_one_key_of_the_keyring_and_holds_no_secret(tmp_path: Path) -> None:
    async with store_at(tmp_path) as store:
        records = {account: await store.claim(account, fresh_active()) for account in ODD_ACCOUNTS}
        assert {account async for account in store.accounts()} == set(ODD_ACCOUNTS)
    ((fingerprint, key),) = keyring_at(tmp_path).entries().items()
    assert fingerprint == SealingKey(key).fingerprint == fingerprint_at(tmp_path)
    files = [file.read_bytes() for file in tmp_path.glob("ids.sqlite3*")]
    for secret in (key, *(record.secret.reveal() for record in records.values())):
        assert not any(secret.encode() in file for file in files)
    async with SealedStore(SQLiteStore(tmp_path / "ids.sqlite3"), [key]) as sealed:
        assert {account: await sealed.load(account) for account in ODD_ACCOUNTS} == records
    async with SealedStore(SQLiteStore(tmp_path / "ids.sqlite3"), [Fernet.generate_key()]) as sealed:
        with pytest.raises(Exception, match="a key is missing"):
            await sealed.load("a")


async def test_the_keyring_is_asked_at_the_first_opening_alone(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    store = store_at(tmp_path, backend)
    async with store:
        assert backend.calls == ["set", "get", "get"]
        record = await store.claim("a", fresh_pending())
        await store.replace("a", record, fresh_active())
    backend = keyring_at(tmp_path)
    store = store_at(tmp_path, backend)
    for _ in range(2):
        await asyncio.gather(*(store.__aenter__() for _ in range(10)))
        await asyncio.gather(*(store.load("a") for _ in range(10)))
        for _ in range(10):
            await store.__aexit__(None, None, None)
    assert backend.calls == ["get"]


async def test_the_key_is_asked_for_again_where_the_file_was_replaced(tmp_path: Path) -> None:
    store, backend = store_at(tmp_path), keyring_at(tmp_path)
    async with store:
        old = await store.claim("a", fresh_active())
    (tmp_path / "ids.sqlite3").rename(tmp_path / "old")
    async with store:
        assert await store.load("a") is None
        record = await store.claim("a", fresh_active())
    assert len(backend.entries()) == 2, "the key of the file that was moved away is kept"
    async with store_at(tmp_path) as other:
        assert await other.load("a") == record
    (tmp_path / "old").replace(tmp_path / "ids.sqlite3")
    async with store:
        assert await store.load("a") == old


def test_a_store_that_a_closed_loop_left_open_reads_its_file_again(tmp_path: Path) -> None:
    store = store_at(tmp_path)

    async def enter_and_claim() -> StoredIdentity:
        await asyncio.gather(*(store.__aenter__() for _ in range(3)))
        return await store.claim("a", fresh_active())

    async def load() -> StoredIdentity | None:
        async with store_at(tmp_path) as other:
            return await other.load("a")

    asyncio.run(enter_and_claim())
    for file in tmp_path.glob("ids.sqlite3*"):
        file.rename(tmp_path / f"old{file.suffix}")
    record = asyncio.run(enter_and_claim())
    assert asyncio.run(load()) == record


def test_the_fingerprint_of_a_key_stays_as_it_is() -> None:
    key = SealingKey("b3RoZXIga2V5IG90aGVyIGtleSBvdGhlciBrZXkhISE=")
    assert key.fingerprint == "ababf0da739341ffa9e6de4acd949558"


async def test_services_that_share_a_keyring_have_keys_of_their_own(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    for service in ("one", "two"):
        async with KeyringStore(service, path=tmp_path / service, backend=backend) as store:
            await store.claim("a", fresh_pending())
    assert sorted(backend.run("SELECT service, count(*) FROM entries GROUP BY service")) == [("one", 1), ("two", 1)]


async def test_a_file_that_another_store_filled_is_refused_and_kept(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "ids.sqlite3") as plain:
        record = await plain.claim("a", fresh_active())
        with pytest.raises(ConfigurationError, match=r"holds records and names no key of a keyring.*it was kept"):
            await store_at(tmp_path).__aenter__()
        assert await plain.load("a") == record
    assert keyring_at(tmp_path).entries() == {}


async def test_a_file_without_records_is_taken_over(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "ids.sqlite3"):
        pass
    async with store_at(tmp_path) as store:
        await store.claim("a", fresh_active())
    assert fingerprint_at(tmp_path)


async def test_a_lost_row_is_not_taken_for_a_first_launch(tmp_path: Path) -> None:
    async with store_at(tmp_path) as store:
        await store.claim("a", fresh_active())
    with closing(sqlite3.connect(tmp_path / "ids.sqlite3")) as connection, connection:
        connection.execute("DELETE FROM sealing_key")
    with pytest.raises(ConfigurationError, match="names no key"):
        await store_at(tmp_path).__aenter__()
    assert len(keyring_at(tmp_path).entries()) == 1


async def test_uses_the_keyring_of_the_system_where_none_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "get_keyring", lambda: keyring_at(tmp_path))
    record = fresh_pending()
    async with KeyringStore(SERVICE, path=tmp_path / "ids.sqlite3") as store:
        await store.claim("a", record)
    async with store_at(tmp_path) as store:
        assert await store.load("a") == record


@pytest.mark.parametrize("data_home", ["data", "", None])
async def test_the_file_is_below_the_users_data_folder_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, data_home: str | None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    if data_home is not None:
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / data_home) if data_home else "")
    path = tmp_path / (data_home or ".local/share") / SERVICE / "ids.sqlite3"
    with pytest.raises(StoreUnavailableError, match="is missing, and must exist"):
        await KeyringStore(SERVICE, backend=keyring_at(tmp_path), must_exist=True).__aenter__()
    for _ in range(2):
        async with KeyringStore(SERVICE, backend=keyring_at(tmp_path)) as store:
            assert store.path == path
            await store.claim("a", fresh_active())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert caplog.messages == [f"the identity store {path} was missing: it was created, new and empty"]


async def test_a_home_folder_that_is_missing_is_not_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "unmounted"))
    with pytest.raises(ConfigurationError, match=r"the home folder .*/unmounted is missing: mount its disk, or name"):
        await KeyringStore(SERVICE, backend=keyring_at(tmp_path)).__aenter__()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("XDG_DATA_HOME", f"{tmp_path}/data\n")
    with pytest.raises(ConfigurationError, match="holds the control character"):
        KeyringStore(SERVICE)


@pytest.mark.parametrize("service", ["..", ".", "a/b", "../a"])
async def test_a_service_that_names_no_folder_needs_a_path(tmp_path: Path, service: str) -> None:
    with pytest.raises(ConfigurationError, match="not the name of a folder: name its file by `path`"):
        KeyringStore(service)
    async with KeyringStore(service, path=tmp_path / "ids", backend=keyring_at(tmp_path)) as store:
        await store.claim("a", fresh_pending())


async def test_a_file_and_its_folder_are_created_only_where_the_setting_says_so(tmp_path: Path) -> None:
    path, backend = tmp_path / "new" / "ids", keyring_at(tmp_path)
    with pytest.raises(ConfigurationError, match=r"folder .* is missing"):
        await KeyringStore(SERVICE, path=path, backend=backend).__aenter__()
    with pytest.raises(StoreUnavailableError, match="is missing, and must exist"):
        await KeyringStore(SERVICE, path=path, backend=backend, must_exist=True).__aenter__()
    assert not path.parent.exists()
    assert backend.calls == []
    async with KeyringStore(SERVICE, path=path, backend=backend, create_folder=True):
        assert path.exists()
