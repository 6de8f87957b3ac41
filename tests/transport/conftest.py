import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from mimi_async.transport import Transport

from .doubles import CREDENTIALS, Clock, Naps, To


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    loop = asyncio.get_running_loop()
    clock = Clock(loop)
    monkeypatch.setattr(loop, "time", clock)
    return clock


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
def transport_to(naps: Naps) -> To:
    return lambda url: Transport(url, CREDENTIALS, sleep=naps.sleep, uniform=naps.uniform)


@pytest.fixture(scope="session")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, with its key, that no machine trusts."""
    return certified(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def another_self_signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One more of the kind."""
    return certified(tmp_path_factory.mktemp("tls"))


def certified(folder: Path) -> Path:
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    extra = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *extra], check=True, capture_output=True)
    both.write_text(key.read_text() + certificate.read_text())
    return both


@pytest.fixture
def tls(self_signed: Path) -> ssl.SSLContext:
    return serving(self_signed)


def serving(certificate: Path) -> ssl.SSLContext:
    """What a server of TLS needs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
async def trusting(self_signed: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A session whose connector trusts the certificate of the tests, as a company gives its own CA."""
    context = ssl.create_default_context(cafile=self_signed)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        yield session
