"""A store that fails is never taken for one that holds nothing, and a start that fails says in which phase."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from mimi_async import StartupError, StoreConflictError, StoreUnavailableError, Timeouts
from mimi_async.stores import MemoryStore, SQLiteStore

from .launches import ACCOUNT, ENTRIES, App, Entry, raising
from .stores_for_tests import BEFORE_LOAD

every_entry = pytest.mark.parametrize("entry", ENTRIES)

FAILURES: dict[str, Callable[[], Awaitable[object]]] = {
    "locked": raising(StoreUnavailableError("database is locked")),
    "raises what is not ours": raising(sqlite3.OperationalError("disk I/O error: secret hunter2")),
    "raises OSError": raising(OSError(28, "No space left on device")),
    "hangs": lambda: asyncio.Event().wait(),
}


@every_entry
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
async def test_a_store_that_can_not_be_read_is_never_taken_for_no_user(
    app: App, entry: Entry, failure: Callable[[], Awaitable[object]]
) -> None:
    user = await app.first_launch()
    kept = await app.record()
    app.store.at(BEFORE_LOAD, failure, times=2)
    app.timeouts = Timeouts(call=0.3, retry_base=0.0)
    async with app.restore(entry) as restored:
        assert isinstance(restored.error, StoreUnavailableError)
        assert "hunter2" not in str(restored.error)
        restored.assert_shut()
        if restored.has_started:
            with pytest.raises(StoreUnavailableError):
                await restored.auth.ensure_user()
    assert set(app.observer.kinds) == {(None, None, StoreUnavailableError)}
    assert app.asked == []
    assert app.store.writes == []
    assert await app.record() == kept
    assert app.server.users == 1
    app.timeouts = Timeouts(retry_base=0.0)
    app.store.clear_faults()
    async with app.core() as core:
        assert core.auth.current_user == user


async def test_the_next_call_reads_the_store_again(app: App) -> None:
    user = await app.first_launch()
    app.store.at(BEFORE_LOAD, raising(StoreUnavailableError("locked")))
    async with app.restore("auth_for") as restored:
        assert await restored.core.auth_for(ACCOUNT) is restored.auth
        assert restored.auth.current_user == user


async def test_a_conflict_that_another_process_caused_is_no_end(app: App) -> None:
    user = await app.first_launch()
    app.store.at(BEFORE_LOAD, raising(StoreConflictError("another process")))
    async with app.restore("present") as restored:
        assert isinstance(restored.error, StoreConflictError)
        assert await restored.auth.ensure_user() == user


# The phases of a start ------------------------------------------------------------------------------------------------


async def test_a_transport_that_can_not_open_is_named_as_the_phase(app: App) -> None:
    async with aiohttp.ClientSession() as session:
        pass
    entered = app.store.is_entered
    with pytest.raises(StartupError, match="ClientSession") as caught:
        await app.core(session=session).__aenter__()
    assert caught.value.phase == "transport"
    assert app.store.is_entered == entered


async def test_a_file_that_is_no_database_is_kept_and_named(app: App, tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(b"Dear partner, these are no ids. " * 100)
    before = path.read_bytes()
    with pytest.raises(StartupError) as caught:
        await app.core(store=SQLiteStore(path)).__aenter__()
    assert caught.value.phase == "store"
    assert path.read_bytes() == before


async def test_a_service_without_an_account_of_its_own_starts_while_the_server_is_down(app: App) -> None:
    app.server.fail(times=None)
    async with app.core(account=None, store=MemoryStore()):
        assert app.asked == []
