from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mimi_async.databases.sqlite import Database

from .notebook import open_notebook


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.sqlite3"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    async with open_notebook(path) as database:
        yield database
