from collections.abc import AsyncIterator

import aiohttp
import pytest

from mimi_async.testing import IdentityServer

from ..server.client import PlainClient


@pytest.fixture
async def server() -> AsyncIterator[IdentityServer]:
    async with IdentityServer() as server:
        yield server


@pytest.fixture
async def client(server: IdentityServer) -> AsyncIterator[PlainClient]:
    async with aiohttp.ClientSession() as session:
        yield PlainClient(server, session)
