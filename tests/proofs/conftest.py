import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from mimi_async.testing import IdentityServer

from ..conftest import FIGURES
from .journal import Journal
from .nursery import Job, Nursery


@pytest.fixture
async def server() -> AsyncIterator[IdentityServer]:
    async with IdentityServer() as server:
        yield server


@pytest.fixture(scope="session")
def session_nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with (tmp_path_factory.mktemp("nursery") / "stderr").open("w+b") as stderr, Nursery(stderr) as nursery:
        yield nursery


@pytest.fixture
def nursery(session_nursery: Nursery) -> Iterator[Nursery]:
    yield session_nursery
    sys.stderr.write(session_nursery.said())


class Figures:
    """What a proof has shown, in numbers that add up over its tests; printed at the end."""

    def __init__(self, node: pytest.Item, proof: str) -> None:
        self._node = node
        self._proof = proof

    def add(self, **numbers: int) -> None:
        figures = {name.replace("_", " "): number for name, number in numbers.items()}
        self._node.user_properties.append((FIGURES, (self._proof, figures)))


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    return Figures(request.node, request.path.stem.removeprefix("test_"))


JobOf = Callable[..., Job]


@pytest.fixture
def job_of(server: IdentityServer, tmp_path: Path) -> JobOf:
    """Returns what a process is to do, for accounts whose journal and store are told apart by `at`."""
    (tmp_path / "stores").mkdir(mode=0o700)

    def job_of(do: str, *accounts: str, at: str, **more: object) -> Job:
        return {
            "do": do,
            "accounts": accounts,
            "server": server.url,
            "client_id": server.credentials.client_id,
            "secret": server.credentials.secret.reveal(),
            "store": str(tmp_path / "stores" / at),
            "journal": str(tmp_path / f"{at}.journal"),
            **more,
        }

    return job_of


@pytest.fixture
def journal_at(tmp_path: Path) -> Callable[[str], Journal]:
    return lambda at: Journal(tmp_path / f"{at}.journal")
