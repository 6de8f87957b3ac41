from collections.abc import AsyncIterator

import pytest

from mimi_async import MimiCore

from ..doubles import FakeServer, core_of


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
async def core(server: FakeServer) -> AsyncIterator[MimiCore]:
    async with core_of(server) as core:
        yield core
