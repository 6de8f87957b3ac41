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

from mimi_async import StartupError
from mimi_async.errors import StoreUnavailableError
from mimi_async.stores import IdentityStore, KeyringStore
from mimi_async.stores.keyring.markers import name_of
from mimi_async.testing.store_contract import StoreContract
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending
from tests.doubles import FakeServer, core_of

from .keyrings import SERVICE
from .secret_service import SecretService, started
from .test_keyring_processes import started as claimant
from .test_keyring_processes import winners_of


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


def backend() -> Any:  # keyring's own back-ends carry no types
    return Keyring()  # type: ignore[no-untyped-call]


def store_at(place: Path, *, timeout: float = 55.0) -> KeyringStore:
    """A store on the real keyring, whose service is that of the place."""
    return KeyringStore(f"{SERVICE}{place}", folder=place, backend=backend(), timeout=timeout)


class TestSecretService(StoreContract):
    seconds = 110.0

    def make_store(self, place: Path) -> IdentityStore:
        return store_at(place)

    def damage(self, place: Path, account: str) -> None:
        backend().set_password(f"{SERVICE}{place}", name_of(account), "gone")


LEAKS = "ignore:unclosed <socket:ResourceWarning"
"""The library forgets its connection when the keyring is locked; the garbage collector closes it."""


@pytest.mark.filterwarnings(LEAKS)
async def test_a_locked_keyring_is_unavailable_and_holds_the_same_record_when_it_is_unlocked(
    tmp_path: Path, service: SecretService
) -> None:
    async with store_at(tmp_path) as store:
        record = await store.claim("a", fresh_active())
        service.lock()
        for call in (store.load("a"), store.claim("a", fresh_pending()), store.claim("b", fresh_pending())):
            with pytest.raises(StoreUnavailableError, match=r"the keyring is locked; .*: unlock it and try again"):
                await call
        service.unlock()
        assert await store.load("a") == record
        assert await store.load("b") is None


@pytest.mark.filterwarnings(LEAKS)
async def test_a_locked_keyring_starts_no_core_and_creates_nobody(tmp_path: Path, service: SecretService) -> None:
    server = FakeServer()
    service.lock()
    with pytest.raises(StartupError) as caught:
        async with core_of(server, store=store_at(tmp_path)):
            pass
    assert isinstance(caught.value.__cause__, StoreUnavailableError)
    assert server.requests == []
    service.unlock()
    async with core_of(server, store=store_at(tmp_path)) as core:
        await core.auth.ensure_user()
    assert server.requests == ["POST /v1/anonymous-users"]


async def test_a_service_that_hangs_is_unavailable_until_it_goes_on(tmp_path: Path, service: SecretService) -> None:
    async with store_at(tmp_path) as store:
        record = await store.claim("a", fresh_active())
        store._timeout = 0.5
        os.kill(service.daemon.pid, signal.SIGSTOP)
        try:
            for _ in range(2):
                with pytest.raises(StoreUnavailableError, match="did not answer within"):
                    await store.load("a")
        finally:
            os.kill(service.daemon.pid, signal.SIGCONT)
        store._timeout = 55.0
        assert await store.load("a") == record


async def test_a_bus_that_is_not_there_is_refused_at_the_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/nowhere")
    with pytest.raises(StoreUnavailableError, match="enable one for this session"):
        async with store_at(tmp_path):
            pass


def test_processes_that_claim_the_same_accounts_agree(tmp_path: Path) -> None:
    found = winners_of([claimant(tmp_path, 10, "system") for _ in range(3)])
    assert len(set(found[0])) == 10
    assert found == found[:1] * 3
