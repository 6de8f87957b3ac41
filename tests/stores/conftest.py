from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ..postgres_server import Postgres
from .tables import OpenPostgresStore, Tables


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ids.sqlite3"


@pytest.fixture
def tables(postgres: Postgres) -> Tables:
    return Tables.make(postgres)


@pytest.fixture
async def store(tables: Tables) -> AsyncIterator[OpenPostgresStore]:
    async with tables.store() as store:
        yield store
