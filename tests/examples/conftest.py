"""Fixtures of the partner's site."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from examples.partner_service.passwords import COST
from mimi_async.testing import IdentityServer

from .sites import Person, Site, person, product_of, running


@pytest.fixture
async def site(mimi_server: IdentityServer, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(product_of(mimi_server, tmp_path)) as player:
        yield player


@pytest.fixture
async def anna() -> AsyncIterator[Person]:
    async with person() as anna:
        yield anna


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords at a low cost."""
    monkeypatch.setitem(COST, "n", 2)
    monkeypatch.setitem(COST, "p", 1)
