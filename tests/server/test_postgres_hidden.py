"""Rows that row security begins to hide while the server runs: nobody is taken for unknown, or made again."""

import uuid
from collections.abc import AsyncIterator, Awaitable

import pytest

from examples.partner_cluster.postgres import Postgres
from mimi_async.errors import StoreUnavailableError
from mimi_async.identity import CreateKey
from mimi_async.server.keyfile import from_environment
from mimi_async.server.postgres import PostgresUserBook
from mimi_async.server.users import Caller, Candidate, Member, Refusal

from .client import a_key
from .on_postgres import ENVIRON

BOOKS = ["postgresql"]
ACME = Caller("acme-player", b"s" * 32)
TABLES = ("users", "clients", "hearing_tests")


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    return postgres.make_database()


@pytest.fixture
async def book(postgres: Postgres, dsn: str) -> AsyncIterator[PostgresUserBook]:
    """A book whose user owns no table."""
    owner = PostgresUserBook(dsn)
    await owner.open()
    assert await owner.add_client("acme", ACME.client_id, ACME.secret_digest)
    await owner.close()
    reader, name = f"r{uuid.uuid4().hex}", dsn.rpartition("/")[2]
    grants = f"GRANT USAGE ON SCHEMA mimi_server TO {reader}; GRANT ALL ON ALL TABLES IN SCHEMA mimi_server TO {reader}"
    postgres.tell(f"CREATE ROLE {reader} LOGIN; {grants}", name)
    book = PostgresUserBook(dsn.replace("postgres@", f"{reader}@"))
    await book.open()
    yield book
    await book.close()


async def answer(asked: Awaitable[object]) -> object:
    """Return the answer, None where there was none."""
    try:
        return await asked
    except StoreUnavailableError:
        return None


@pytest.mark.parametrize("hidden", [*((table,) for table in TABLES), TABLES], ids=[*TABLES, "all"])
async def test_who_is_hidden_is_not_unknown(
    postgres: Postgres, dsn: str, book: PostgresUserBook, hidden: tuple[str, ...]
) -> None:
    keys = from_environment(ENVIRON)
    assert keys is not None
    key = CreateKey(a_key())
    candidate = Candidate(keys, key, keys.create_digest(key))
    digest = candidate.id_digest("acme")
    made = await book.create(ACME, candidate, may_make=True)
    assert isinstance(made, Member)
    enable = "".join(f"ALTER TABLE mimi_server.{table} ENABLE ROW LEVEL SECURITY;" for table in hidden)
    postgres.tell(enable, dsn.rpartition("/")[2])
    for ask in (book.find(ACME, digest), book.find(ACME, b"d" * 32), book.create(ACME, candidate, may_make=True)):
        assert await answer(ask) in (None, Refusal.CREDENTIALS)
    for read in (book.read(made.profile.id), book.export(made.profile.id), book.tests(made.profile.id, None)):
        assert await answer(read) in (None, Refusal.TOKEN)
    postgres.tell(enable.replace("ENABLE", "DISABLE"), dsn.rpartition("/")[2])
    found = await book.find(ACME, digest)
    assert isinstance(found, Member)
    assert found.profile.id == made.profile.id
