import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mimi_async.auth import background
from mimi_async.stores import MemoryStore, SQLiteStore
from mimi_async.testing import IdentityServer

from ..conftest import rounds
from .change_feeds import Process, SharedStore
from .host_with_ids import Host
from .launches import App, Pauses
from .processes import Processes
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


@pytest.fixture(params=["memory", "sqlite"][rounds(1, 0) :])
async def store(request: pytest.FixtureRequest, disk: Path) -> AsyncIterator[WatchedStore]:
    inner = MemoryStore() if request.param == "memory" else SQLiteStore(disk / "ids.sqlite3")
    async with WatchedStore(inner) as store:
        yield store


@pytest.fixture
def app(server: IdentityServer, store: WatchedStore) -> App:
    return App(server, store)


@pytest.fixture
async def processes(app: App) -> AsyncIterator[Processes]:
    async with Processes.launch(app) as processes:
        yield processes


@pytest.fixture
def host() -> Host:
    host = Host()
    host.may_write.set()
    return host


@pytest.fixture
def shared() -> SharedStore:
    return SharedStore(MemoryStore(), [])


@pytest.fixture
def here(server: IdentityServer, shared: SharedStore) -> Process:
    """A process on the shared store."""
    return Process(server, shared)


@pytest.fixture
def there(server: IdentityServer, shared: SharedStore) -> Process:
    """Another process on the shared store."""
    return Process(server, shared.share())


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    """The pauses between two attempts to restore an account, or to listen to changes."""
    pauses = Pauses()
    for retried in (background.retry_restore, background.watch_changes):
        monkeypatch.setattr(retried, "__kwdefaults__", {"sleep": pauses.sleep})
    return pauses
