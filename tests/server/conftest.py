import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from mimi_async.testing import IdentityServer

from ..postgres_server import Postgres
from .client import PlainClient
from .on_postgres import PostgresIdentityServer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a module with DATABASES once for each kind of user database."""
    if "database_kind" in metafunc.fixturenames:
        metafunc.parametrize("database_kind", getattr(metafunc.module, "DATABASES", ["sqlite"]), indirect=True)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The path of a user database that does not exist yet."""
    return tmp_path / "users.sqlite3"


@pytest.fixture
def database_kind(request: pytest.FixtureRequest) -> str:
    """The kind of the user database."""
    return str(request.param)


@pytest.fixture
async def server(database_kind: str, request: pytest.FixtureRequest) -> AsyncIterator[IdentityServer]:
    async with IdentityServer() if database_kind == "sqlite" else request.getfixturevalue("on_postgres") as server:
        yield server


@pytest.fixture
def on_postgres(postgres: Postgres, users_dsn: str) -> PostgresIdentityServer:
    """A server with its users in PostgreSQL, not yet entered."""
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
