import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mimi_async.stores import MemoryStore, SQLiteStore
from mimi_async.testing import IdentityServer

from .launches import App
from .stores_for_tests import WatchedStore


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in memory where there is such: waiting for a disk took most of the time, and others test disks."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
async def server(disk: Path) -> AsyncIterator[IdentityServer]:
    async with IdentityServer() as server:
        yield server


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, disk: Path) -> AsyncIterator[WatchedStore]:
    inner = MemoryStore() if request.param == "memory" else SQLiteStore(disk / "ids.sqlite3")
    async with WatchedStore(inner) as store:
        yield store


@pytest.fixture
def app(server: IdentityServer, store: WatchedStore, monkeypatch: pytest.MonkeyPatch) -> App:
    """An app whose transport does not wait between two attempts."""
    monkeypatch.setattr("mimi_async.transport.retries.JITTER_BASE", 0.0)
    return App(server, store)
