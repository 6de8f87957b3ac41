"""A core over a keyring that does not answer makes nobody a second user."""

from pathlib import Path

import keyring.errors
import pytest

from mimi_async import StartupError
from mimi_async.errors import StoreUnavailableError
from tests.doubles import FakeServer, core_of

from .keyrings import failing_with, keyring_at, nothing, store_at

CREATION = "POST /v1/anonymous-users"


async def test_a_locked_keyring_starts_no_core_and_creates_nobody(tmp_path: Path) -> None:
    server, backend = FakeServer(), keyring_at(tmp_path)
    backend.before = failing_with(keyring.errors.KeyringLocked())
    with pytest.raises(StartupError) as caught:
        async with core_of(server, store=store_at(tmp_path, backend)):
            pass
    assert isinstance(caught.value.__cause__, StoreUnavailableError)
    assert caught.value.retryable
    assert server.requests == []


async def test_a_keyring_that_denies_the_user_creates_no_second_one(tmp_path: Path) -> None:
    server, backend = FakeServer(), keyring_at(tmp_path)
    async with core_of(server, store=store_at(tmp_path, backend)) as core:
        user = await core.auth.ensure_user()
    backend.is_lying = True
    with pytest.raises(StartupError):
        async with core_of(server, store=store_at(tmp_path, backend)):
            pass
    async with core_of(server, store=store_at(tmp_path, backend), account=None) as core:
        with pytest.raises(StoreUnavailableError):
            await core.auth_for("default")
    assert server.requests == [CREATION]
    backend.is_lying = False
    async with core_of(server, store=store_at(tmp_path, backend)) as core:
        assert core.auth.current_user == user
        assert await core.auth.ensure_user() == user
    assert server.requests == [CREATION, "POST /v1/sessions"]


async def test_no_creation_is_asked_for_that_the_keyring_did_not_keep(tmp_path: Path) -> None:
    server, backend = FakeServer(), keyring_at(tmp_path)
    async with core_of(server, store=store_at(tmp_path, backend)) as core:
        backend.is_lying = True
        with pytest.raises(StoreUnavailableError, match="did not keep what was written"):
            await core.auth.ensure_user()
        assert server.requests == []
        backend.is_lying = False
        user = await core.auth.ensure_user()
        assert core.auth.current_user == user
    assert server.requests == [CREATION]


async def test_a_log_out_that_the_keyring_refuses_leads_to_no_second_user(tmp_path: Path) -> None:
    server, backend = FakeServer(), keyring_at(tmp_path)

    def lock(verb: str) -> None:
        if verb == "delete":
            backend.before = failing_with(keyring.errors.KeyringLocked())
            backend.before(verb)

    async with core_of(server, store=store_at(tmp_path, backend)) as core:
        user = await core.auth.ensure_user()
        backend.before = lock
        with pytest.raises(StoreUnavailableError):
            await core.auth.log_out()
    backend.before, backend.is_lying = nothing, True
    with pytest.raises(StartupError):
        async with core_of(server, store=store_at(tmp_path, backend)) as core:
            await core.auth.ensure_user()
    backend.is_lying = False
    async with core_of(server, store=store_at(tmp_path, backend)) as core:
        assert await core.auth.ensure_user() == user
    assert server.requests.count(CREATION) == 1
