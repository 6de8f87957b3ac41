"""The keyring store, held to the contract of all stores, and what is its own."""

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path

import keyring
import pytest

from mimi_async.errors import ConfigurationError, StoreUnavailableError
from mimi_async.stores import IdentityStore, KeyringStore
from mimi_async.stores.keyring.markers import name_of
from mimi_async.testing.store_contract import ODD_ACCOUNTS, StoreContract
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending

from .keyrings import SERVICE, keyring_at, marker_at, store_at


class TestKeyringStore(StoreContract):
    def make_store(self, place: Path) -> IdentityStore:
        return store_at(place)

    def damage(self, place: Path, account: str) -> None:
        keyring_at(place).spoil(account, b"gone")


async def test_does_not_answer_before_it_is_entered_and_after_it_is_left(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match=r"the keyring store 'com\.example\.player' is not open"):
            await store.load("a")
        async with store:
            assert await store.load("a") is None


async def test_shows_its_service_and_no_more(tmp_path: Path) -> None:
    assert repr(store_at(tmp_path)) == "KeyringStore('com.example.player')"


@pytest.mark.parametrize(("service", "timeout"), [("", 1.0), ("a\0b", 1.0), ("a", 0.0), ("a", float("nan"))])
def test_is_refused_without_a_service_or_a_timeout(service: str, timeout: float) -> None:
    with pytest.raises(ConfigurationError, match="has a service, which is a printable text, and a timeout"):
        KeyringStore(service, timeout=timeout)


async def test_uses_the_keyring_of_the_system_where_none_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "get_keyring", lambda: keyring_at(tmp_path))
    record = fresh_pending()
    async with KeyringStore(SERVICE, folder=tmp_path / "markers") as store:
        await store.claim("a", record)
    async with store_at(tmp_path) as store:
        assert await store.load("a") == record


async def test_keeps_services_apart_that_share_a_keyring_and_a_folder(tmp_path: Path) -> None:
    folder, backend = tmp_path / "markers", keyring_at(tmp_path)
    async with (
        KeyringStore("one", folder=folder, backend=backend) as one,
        KeyringStore("two", folder=folder, backend=backend) as two,
    ):
        record = await one.claim("a", fresh_pending())
        assert await two.load("a") is None
        await two.forget("a", await two.claim("a", fresh_pending()))
        assert await one.load("a") == record


async def test_lists_its_accounts_damaged_ones_included(tmp_path: Path) -> None:
    async with store_at(tmp_path) as store:
        for account in ODD_ACCOUNTS:
            await store.claim(account, fresh_active())
        await store.forget("A", await store.load("A"))
        keyring_at(tmp_path).spoil("a", b"gone")
        assert {account async for account in store.accounts()} == set(ODD_ACCOUNTS) - {"A"}


async def test_sets_a_whole_record_aside_under_another_name(tmp_path: Path) -> None:
    async with store_at(tmp_path) as store:
        record, other = await store.claim("a", fresh_active()), fresh_active()
        assert await store.set_aside("b", record) is None
        assert await store.set_aside("a", other) == record
        (text,) = keyring_at(tmp_path).entries().values()
        assert await store.set_aside("a", record) is None
        assert await store.load("a") is None
        assert await store.claim("a", other) == other
    assert text in keyring_at(tmp_path).entries().values()


async def test_a_load_asks_the_keyring_once_and_writes_nothing(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        await store.claim("a", fresh_pending())
        backend.asked.clear()
        written_at = marker_at(tmp_path).stat().st_mtime_ns
        await store.load("a")
    assert backend.asked == ["get"]
    assert marker_at(tmp_path).stat().st_mtime_ns == written_at


async def test_no_secret_is_logged_in_debug_mode_nor_written_beside_the_keyring(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    record = fresh_active()
    async with store_at(tmp_path) as store:
        await store.claim("a", record)
        task = asyncio.create_task(store.load("a"))
        await task
        logging.debug("%r %r %r", task, store, record)  # noqa: LOG015 - the root is where a canary sings
    assert "Executing" in caplog.text
    assert record.secret.reveal() not in caplog.text
    files = [file for file in (tmp_path / "markers").rglob("*") if file.is_file()]
    assert {file.name for file in files} == {"door", "lock", name_of("a")}
    assert not any(record.secret.reveal().encode() in file.read_bytes() for file in files)


WITHOUT_KEYRING = """
import sys
class NotInstalled:
    def find_spec(self, name, *_):
        if name == "keyring":
            raise ModuleNotFoundError("No module named 'keyring'", name=name)
sys.meta_path.insert(0, NotInstalled())
from mimi_async.stores import KeyringStore
"""


def test_says_which_extra_brings_the_library() -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_KEYRING], env=bare, check=False, capture_output=True, text=True
    )
    assert "a KeyringStore needs keyring: pip install 'mimi-async[keyring]'" in ended.stderr
