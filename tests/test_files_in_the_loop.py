"""No public call touches a file in the event loop: not of a store, not of the source of a function that failed."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from mimi_async import (
    Anonymously,
    Audiogram,
    AuthController,
    HearingTestResult,
    LogInAnonymously,
    MimiCore,
    MimiError,
    Profile,
    ProfileConfiguration,
    ProfileLauncher,
    TestFlow,
)
from mimi_async.stores import IdentityStore, KeyringStore, MemoryStore, SealedStore, SQLiteStore
from mimi_async.testing import IdentityServer

from .blocking import files_in_this_thread
from .stores.keyrings import keyring_at

EAR = Audiogram(dict.fromkeys((250, 500, 1000, 2000, 4000, 8000), 20.0))
TEST = HearingTestResult(taken_at=dt.datetime(2026, 3, 1, tzinfo=dt.UTC), calibrated=False, left=EAR, right=EAR)
ANONYMOUS = ProfileConfiguration(allows_anonymous_user_only=True)
STORES: dict[str, Callable[[Path], IdentityStore]] = {
    "memory": lambda _: MemoryStore(),
    "sqlite": lambda folder: SQLiteStore(folder / "new" / "ids.sqlite3", create_folder=True),
    "sealed": lambda folder: SealedStore(SQLiteStore(folder / "ids.sqlite3"), [Fernet.generate_key().decode()]),
    "keyring": lambda folder: KeyringStore("com.example", path=folder / "ids.sqlite3", backend=keyring_at(folder)),
}


async def call_all(core: MimiCore, auth: AuthController) -> None:
    await auth.authenticate(Anonymously())
    await auth.update_user(year_of_birth=1980)
    await auth.submit_hearing_test(TEST)
    assert [test async for test in auth.hearing_tests()]
    await auth.reload_user()
    await auth.find_user()
    await auth.export_data()
    for view in (Profile(ANONYMOUS), ProfileLauncher(ANONYMOUS), TestFlow()):
        await core.present(view)
    user = await auth.ensure_user()
    await auth.log_out(discard_id=True)
    await auth.authenticate(LogInAnonymously(user.anonymous_id))
    await core.auth_for("anna")
    await auth.reset()


async def call_all_in_vain(server: IdentityServer, core: MimiCore, auth: AuthController) -> None:
    """Fail in the host's code, and for want of the server."""
    auth.observe(fail)
    user = await auth.ensure_user()
    await server.stop()
    calls = [auth.reload_user(), auth.export_data(), auth.authenticate(LogInAnonymously(user.anonymous_id))]
    for call in (*calls, core.auth_for("ben")):
        try:
            await call
        except MimiError:
            continue
        assert call is not calls[0]


def fail(_: AuthController, /, **__: object) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("store", STORES.values(), ids=STORES)
async def test_no_public_call_touches_a_file_in_the_loop(
    mimi_server: IdentityServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Callable[[Path], IdentityStore]
) -> None:
    core = MimiCore(mimi_server.credentials, server=mimi_server.url, store=store(tmp_path))
    async with core:
        with files_in_this_thread(monkeypatch) as found:
            await call_all(core, core.auth)
            await call_all_in_vain(mimi_server, core, core.auth)
    assert found == []


@pytest.mark.parametrize("store", STORES.values(), ids=STORES)
async def test_a_store_is_entered_and_left_without_touching_a_file_in_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Callable[[Path], IdentityStore]
) -> None:
    opened = store(tmp_path)
    with files_in_this_thread(monkeypatch) as found:
        async with opened:
            assert await opened.load("anna") is None
    assert found == []


async def test_a_touched_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with files_in_this_thread(monkeypatch) as found:
        tmp_path.exists()
        list(tmp_path.iterdir())
        (tmp_path / "file").write_text("")
    assert [line.partition(" ")[0] for line in found] == ["os.stat", "os.listdir", "open"]
