from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from mimi_async.testing import IdentityServer

from .sites import Person, Product


@pytest.fixture
async def server() -> AsyncIterator[IdentityServer]:
    async with IdentityServer() as server:
        yield server


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a page be called closed at once."""
    monkeypatch.setattr("mimi_async.web.door.PATIENCE", 0.05)


@pytest.fixture
async def product(server: IdentityServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Product]:
    """A running product whose transport does not wait between two attempts."""
    monkeypatch.setattr("mimi_async.transport.retries.JITTER_BASE", 0.0)
    async with Product(server).running() as product:
        yield product


@pytest.fixture
async def anna(product: Product) -> AsyncIterator[Person]:
    async with product.visited("anna") as person:
        yield person
