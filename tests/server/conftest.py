import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from examples.partner_cluster.postgres import Postgres
from mimi_async.testing import IdentityServer

from .client import PlainClient
from .on_postgres import PostgresIdentityServer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the suites that say so on every book."""
    if "book" in metafunc.fixturenames:
        metafunc.parametrize("book", getattr(metafunc.module, "BOOKS", ["sqlite"]), indirect=True)


@pytest.fixture
def book(request: pytest.FixtureRequest) -> str:
    """The name of the book that the server is to keep its users in."""
    return str(request.param)


@pytest.fixture
async def server(book: str, request: pytest.FixtureRequest) -> AsyncIterator[IdentityServer]:
    async with IdentityServer() if book == "sqlite" else request.getfixturevalue("on_postgres") as server:
        yield server


@pytest.fixture
def on_postgres(postgres: Postgres, users_dsn: str) -> PostgresIdentityServer:
    """A server that keeps its users in PostgreSQL, not yet entered."""
    return PostgresIdentityServer(postgres, users_dsn)


@pytest.fixture(scope="session")
def users_dsn(postgres: Postgres) -> str:
    return postgres.make_database()


@pytest.fixture
async def client(server: IdentityServer) -> AsyncIterator[PlainClient]:
    async with aiohttp.ClientSession() as session:
        yield PlainClient(server, session)


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    ask = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*ask, *names, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key
