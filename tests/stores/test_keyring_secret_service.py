"""The keyring store on a real Secret Service: GNOME Keyring under a private bus."""

import gc
import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keyring.backends.SecretService import Keyring

from mimi_async.errors import StoreUnavailableError
from mimi_async.stores import KeyringStore
from mimi_async.testing.store_contract_base import fresh_active

from .claimant import claim_at_once
from .keyrings import SERVICE, fingerprint_at
from .secret_service import SecretService, started


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecretService]:
    with started(tmp_path_factory.mktemp("s", numbered=True)) as service:
        yield service


@pytest.fixture(autouse=True)
def service(running: SecretService, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretService]:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", running.address)
    yield running
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # in this test, not in the next


def backend() -> Any:  # keyring's own back ends carry no types
    return Keyring()  # type: ignore[no-untyped-call]


def store_at(folder: Path, *, timeout: float = 55.0) -> KeyringStore:
    return KeyringStore(SERVICE, path=folder / "ids.sqlite3", backend=backend(), timeout=timeout)


LEAKS = "ignore:unclosed <socket:ResourceWarning"
"""The library forgets its connection when the keyring is locked; the garbage collector closes it."""


@pytest.mark.filterwarnings(LEAKS)
async def test_a_locked_keyring_is_unavailable_and_its_file_opens_when_it_is_unlocked(
    tmp_path: Path, service: SecretService
) -> None:
    async with store_at(tmp_path) as store:
        record = await store.claim("a", fresh_active())
    service.lock()
    for folder in (tmp_path, tmp_path / "new"):
        folder.mkdir(exist_ok=True)
        with pytest.raises(StoreUnavailableError, match=r"the keyring is locked; .*: unlock it and try again"):
            await store_at(folder).__aenter__()
        assert folder == tmp_path or fingerprint_at(folder) is None
    service.unlock()
    async with store_at(tmp_path) as store:
        assert await store.load("a") == record


async def test_a_service_that_hangs_is_unavailable_until_it_goes_on(tmp_path: Path, service: SecretService) -> None:
    async with store_at(tmp_path) as store:
        record = await store.claim("a", fresh_active())
    os.kill(service.daemon.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailableError, match="did not answer within"):
            await store_at(tmp_path, timeout=0.5).__aenter__()
    finally:
        os.kill(service.daemon.pid, signal.SIGCONT)
    async with store_at(tmp_path) as store:
        assert await store.load("a") == record


async def test_a_missing_bus_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/nowhere")
    with pytest.raises(StoreUnavailableError, match="enable one for this session"):
        await store_at(tmp_path).__aenter__()


def test_processes_that_start_for_the_first_time_at_once_agree_on_one_key(tmp_path: Path) -> None:
    first, *others = claim_at_once("system", tmp_path, processes=3)
    assert others == [first] * 2
    fingerprint = fingerprint_at(tmp_path)
    assert fingerprint is not None
    assert backend().get_password(SERVICE, fingerprint)
