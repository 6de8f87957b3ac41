from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

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
def settings() -> dict[str, Any]:
    """The settings of the product: a test parametrizes them."""
    return {}


@pytest.fixture
async def product(server: IdentityServer, settings: dict[str, Any]) -> AsyncIterator[Product]:
    """A running product."""
    async with Product(server, settings=settings).run() as product:
        yield product


@pytest.fixture
async def anna(product: Product) -> AsyncIterator[Person]:
    async with product.open_browser("anna") as person:
        yield person
