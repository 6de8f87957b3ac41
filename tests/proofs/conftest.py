import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import attrs
import pytest

from mimi_async.testing import IdentityServer

from ..conftest import FIGURES
from ..fork_server import ForkServer, Job
from .journal import Journal


@pytest.fixture
async def server() -> AsyncIterator[IdentityServer]:
    async with IdentityServer() as server:
        yield server


@pytest.fixture(scope="session")
def session_fork_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    path = tmp_path_factory.mktemp("fork_server") / "stderr"
    with path.open("w+b") as stderr, ForkServer("tests.proofs.child", stderr) as fork_server:
        yield fork_server


@pytest.fixture
def fork_server(session_fork_server: ForkServer) -> Iterator[ForkServer]:
    yield session_fork_server
    sys.stderr.write(session_fork_server.read_stderr())


class Figures:
    """The figures of a proof: summed over its tests and printed at the end."""

    def __init__(self, node: pytest.Item, proof: str) -> None:
        self._node = node
        self._proof = proof

    def add(self, **numbers: int) -> None:
        figures = {name.replace("_", " "): number for name, number in numbers.items()}
        self._node.user_properties.append((FIGURES, (self._proof, figures)))


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    return Figures(request.node, request.path.stem.removeprefix("test_"))


@attrs.frozen
class Hosts:
    """Processes of hosts of one identity server. `at` names their journal and their store.

    Attributes:
        server: The identity server.
        fork_server: Forks the processes.
        folder: The folder of journals and stores.
    """

    server: IdentityServer
    fork_server: ForkServer
    folder: Path

    def job(self, do: str, *accounts: str, at: str, **more: object) -> Job:
        """Return the job of a process."""
        return {
            "do": do,
            "accounts": accounts,
            "server": self.server.url,
            "client_id": self.server.credentials.client_id,
            "secret": self.server.credentials.secret.reveal(),
            "store": str(self.folder / "stores" / at),
            "journal": str(self.folder / f"{at}.journal"),
            **more,
        }

    def journal(self, at: str) -> Journal:
        """Return the journal of processes."""
        return Journal(self.folder / f"{at}.journal")

    async def run(self, do: str, *accounts: str, at: str, processes: int = 1, **more: object) -> set[int]:
        """Run a job in several processes at the same instant; return the set of exit statuses."""
        return {*await self.fork_server.run(*[self.job(do, *accounts, at=at, **more)] * processes)}

    async def run_each(self, do: str, *accounts: str, names: Iterable[str], **more: object) -> set[int]:
        """Run a job for each name, some at once; return the set of exit statuses."""
        return await self.fork_server.run_all(self.job(do, *accounts, at=at, **more) for at in names)


@pytest.fixture
def hosts(server: IdentityServer, fork_server: ForkServer, tmp_path: Path) -> Hosts:
    (tmp_path / "stores").mkdir(mode=0o700)
    return Hosts(server, fork_server, tmp_path)
