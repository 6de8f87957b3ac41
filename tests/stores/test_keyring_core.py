"""A core over a keyring that does not answer makes nobody a second user."""

import asyncio
import errno
import itertools
import threading
from collections.abc import Callable
from pathlib import Path

import keyring.errors
import pytest

from mimi_async import MimiUser, StartupError
from mimi_async.errors import StoreUnavailableError
from mimi_async.stores import KeyringStore
from mimi_async.stores.keyring.markers import Marker, Markers
from tests.doubles import FakeServer, core_of

from .keyrings import Verb, failing_with, keyring_at, store_at

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


async def log_out_in_vain(store: KeyringStore, server: FakeServer, trouble: Callable[[], object]) -> MimiUser:
    """Log out while there is trouble, and end before anything can be put right."""
    async with core_of(server, store=store) as core:
        user = await core.auth.ensure_user()
        trouble()
        with pytest.raises(StoreUnavailableError):
            await core.auth.log_out()
    return user


async def check_nobody_follows(place: Path, server: FakeServer, user: MimiUser | None) -> None:
    """A keyring that says "not found" makes nobody a second user; one that says what it holds has the user, or none."""
    backend = keyring_at(place)
    backend.is_lying = True
    with pytest.raises(StartupError):
        async with core_of(server, store=store_at(place, backend)) as core:
            await core.auth.ensure_user()
    backend.is_lying = False
    async with core_of(server, store=store_at(place, backend)) as core:
        assert core.auth.current_user == user
        if user is not None:
            assert await core.auth.ensure_user() == user
            assert server.requests.count(CREATION) == 1


async def test_a_log_out_that_the_keyring_refuses_leads_to_no_second_user(tmp_path: Path) -> None:
    server, backend = FakeServer(), keyring_at(tmp_path)

    def lock(verb: Verb) -> None:
        if verb == "set":
            backend.before = failing_with(keyring.errors.KeyringLocked())
            backend.before(verb)

    user = await log_out_in_vain(store_at(tmp_path, backend), server, lambda: setattr(backend, "before", lock))
    await check_nobody_follows(tmp_path, server, user)


async def test_a_log_out_in_which_the_keyring_hangs_leads_to_no_second_user(tmp_path: Path) -> None:
    server, backend, may_go_on = FakeServer(), keyring_at(tmp_path), threading.Event()
    store = store_at(tmp_path, backend)

    def hang(verb: Verb) -> None:
        if verb == "set":
            may_go_on.wait(60)
            raise keyring.errors.KeyringLocked  # the session has ended: what was asked is never done

    def trouble() -> None:
        backend.before, store._timeout = hang, 0.2

    user = await log_out_in_vain(store, server, trouble)
    may_go_on.set()
    for thread in threading.enumerate():
        if thread.name == "mimi-keyring":
            await asyncio.to_thread(thread.join, 60)
    await check_nobody_follows(tmp_path, server, user)


@pytest.mark.parametrize(("refused", "is_gone"), [(1, False), (2, True)])
async def test_a_log_out_on_a_full_disk_leads_to_no_second_user(
    tmp_path: Path, refused: int, is_gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, writes, write = FakeServer(), itertools.count(1), Markers.write

    def fill_the_disk() -> None:
        def write_or_not(markers: Markers, marker: Marker) -> None:
            if next(writes) >= refused:
                raise OSError(errno.ENOSPC, "No space left on device")
            write(markers, marker)

        monkeypatch.setattr(Markers, "write", write_or_not)

    user = await log_out_in_vain(store_at(tmp_path), server, fill_the_disk)
    monkeypatch.undo()
    await check_nobody_follows(tmp_path, server, None if is_gone else user)
