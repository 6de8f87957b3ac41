from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mimi_async.sqlite import Database

from .notebook import NOTEBOOK


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.sqlite3"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = Database(path, NOTEBOOK)
    await database.open()
    yield database
    await database.close()
