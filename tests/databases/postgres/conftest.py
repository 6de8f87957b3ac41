from collections.abc import AsyncIterator

import pytest

from mimi_async.databases.postgres import Database

from ...postgres_server import Postgres
from .numbers import open_numbers


@pytest.fixture
async def numbers(postgres: Postgres) -> AsyncIterator[Database]:
    async with open_numbers(postgres.make_database()) as database:
        yield database
