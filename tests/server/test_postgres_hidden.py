"""Rows that row security begins to hide while the server runs: no user becomes unknown, or is created again."""

import uuid
from collections.abc import AsyncIterator, Awaitable

import pytest

from mimi_async.errors import StoreUnavailableError
from mimi_async.server.users.postgres import PostgresUserRepository
from mimi_async.server.users.repository import PartnerUser, Refusal

from ..postgres_server import Postgres
from .repositories import ACME, make_new_user, open_repositories

DATABASES = ["postgresql"]
TABLES = ("users", "clients", "hearing_tests")


@pytest.fixture
async def users(postgres: Postgres, dsn: str) -> AsyncIterator[PostgresUserRepository]:
    """A repository whose user owns no table."""
    async with open_repositories(PostgresUserRepository(dsn)) as owner:
        assert await owner.add_client("acme", ACME.client_id, ACME.secret_digest)
    reader, name = f"r{uuid.uuid4().hex}", dsn.rpartition("/")[2]
    grants = f"GRANT USAGE ON SCHEMA mimi_server TO {reader}; GRANT ALL ON ALL TABLES IN SCHEMA mimi_server TO {reader}"
    postgres.execute(f"CREATE ROLE {reader} LOGIN; {grants}", name)
    async with open_repositories(PostgresUserRepository(dsn.replace("postgres@", f"{reader}@"))) as users:
        yield users


async def answer(asked: Awaitable[object]) -> object:
    """Return the answer, None where there was none."""
    try:
        return await asked
    except StoreUnavailableError:
        return None


@pytest.mark.parametrize("hidden", [*((table,) for table in TABLES), TABLES], ids=[*TABLES, "all"])
async def test_a_hidden_user_is_not_unknown(
    postgres: Postgres, dsn: str, users: PostgresUserRepository, hidden: tuple[str, ...]
) -> None:
    new_user = make_new_user()
    digest = new_user.id_digest("acme")
    made = await users.create(ACME, new_user, may_make=True)
    assert isinstance(made, PartnerUser)
    enable = "".join(f"ALTER TABLE mimi_server.{table} ENABLE ROW LEVEL SECURITY;" for table in hidden)
    postgres.execute(enable, dsn.rpartition("/")[2])
    for ask in (
        users.find(ACME, digest),
        users.find(ACME, b"d" * 32),
        users.create(ACME, new_user, may_make=True),
    ):
        assert await answer(ask) in (None, Refusal.CREDENTIALS)
    for read in (
        users.read(made.profile.id),
        users.export(made.profile.id),
        users.tests(made.profile.id, None),
    ):
        assert await answer(read) in (None, Refusal.TOKEN)
    postgres.execute(enable.replace("ENABLE", "DISABLE"), dsn.rpartition("/")[2])
    found = await users.find(ACME, digest)
    assert isinstance(found, PartnerUser)
    assert found.profile.id == made.profile.id
