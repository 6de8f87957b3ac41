from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mimi_async.stores import MemoryStore, SQLiteStore
from mimi_async.testing import IdentityServer

from .launches import App
from .stores_for_tests import WatchedStore


@pytest.fixture
async def server() -> AsyncIterator[IdentityServer]:
    async with IdentityServer() as server:
        yield server


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[WatchedStore]:
    inner = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "ids.sqlite3")
    async with WatchedStore(inner) as store:
        yield store


@pytest.fixture
def app(server: IdentityServer, store: WatchedStore, monkeypatch: pytest.MonkeyPatch) -> App:
    """An app whose transport does not wait between two attempts."""
    monkeypatch.setattr("mimi_async.transport.retries.JITTER_BASE", 0.0)
    return App(server, store)
