"""What the tests of the partner's site share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mimi_async.testing import IdentityServer

from .sites import Person, Site, person, product_of, running


@pytest.fixture
async def site(mimi_server: IdentityServer, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(product_of(mimi_server, tmp_path)) as player:
        yield player


@pytest.fixture
async def anna() -> AsyncIterator[Person]:
    async with person() as somebody:
        yield somebody
