"""The SQLite store, held to the contract of all stores, and what is its own."""

import asyncio
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mimi_async.errors import StoreUnavailableError
from mimi_async.stores import IdentityStore, SQLiteStore
from mimi_async.testing.store_contract import StoreContract
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending


class TestSQLiteStore(StoreContract):
    def make_store(self, place: Path) -> IdentityStore:
        return SQLiteStore(place / "ids.sqlite3")

    def damage(self, place: Path, account: str) -> None:
        with closing(sqlite3.connect(place / "ids.sqlite3", isolation_level=None)) as connection:
            connection.execute("UPDATE identities SET secret = 'gone' WHERE account = ?", (account,))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ids.sqlite3"


async def test_does_not_answer_before_it_is_entered_and_after_it_is_left(path: Path) -> None:
    store = SQLiteStore(path)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match=r"identity store .*ids\.sqlite3 is not open"):
            await store.load("a")
        async with store:
            assert await store.load("a") is None


async def test_claims_of_many_accounts_wait_for_few_commits(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await asyncio.gather(*(store.claim(f"{number}", fresh_pending()) for number in range(1000)))
        log = Path(f"{path}-wal").read_bytes()
        pages = [log[frame + 4 : frame + 8] for frame in range(32, len(log), 24 + 4096)]
        assert sum(size != bytes(4) for size in pages) < 20


async def test_no_secret_is_logged_in_debug_mode(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    record = fresh_active()
    async with SQLiteStore(path) as store:
        await store.claim("a", record)
        task = asyncio.create_task(store.load("a"))
        await task
        logging.debug("%r %r %r", task, store, record)  # noqa: LOG015 - the root is where a canary sings
    assert "Executing" in caplog.text
    assert record.secret.reveal() not in caplog.text


async def test_what_was_forgotten_is_wiped_from_the_file(path: Path) -> None:
    async with SQLiteStore(path) as store:
        record = await store.claim("a", fresh_active())
        await store.forget("a", record)
    assert record.secret.reveal().encode() not in path.read_bytes()
    assert not Path(f"{path}-wal").exists()
