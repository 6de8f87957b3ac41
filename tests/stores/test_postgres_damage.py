"""A damaged row in PostgreSQL is reported: it is never another id, and never "no record"."""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from typing import cast

import asyncpg
import pytest

from mimi_async.databases.postgres import Connection
from mimi_async.errors import StoreCorruptError, StoreError
from mimi_async.stores import DamagedIdentity, PostgresStore, StoredIdentity
from mimi_async.stores.postgres.statements import read_found
from mimi_async.testing.store_contract_base import fresh_pending

from ..conftest import rounds
from ..postgres_server import Postgres
from .damages import RECORD, SECRET
from .rows import cuts, flips
from .tables import OpenPostgresStore, Tables

COLUMNS = {
    "state": "$1::bytea::text",
    "secret": "$1::bytea::text",
    "user_id": "$1::bytea::text",
    "revision": "$1",
    "changed_at": "$1",
    "digest": "$1",
}
"""A column → how its bytes are written, UTF-8 or not."""


async def test_damage_that_has_become_other_damage_is_not_moved(store: OpenPostgresStore, tables: Tables) -> None:
    await store.claim("a", RECORD)
    tables.execute("UPDATE {t} SET revision = NULL")
    with pytest.raises(StoreCorruptError) as caught:
        await store.load("a")
    assert caught.value.revision is not None
    tables.execute("UPDATE {t} SET secret = NULL")
    with pytest.raises(StoreCorruptError):
        await store.forget("a", DamagedIdentity(caught.value.revision))
    assert tables.execute("SELECT count(*) FROM {a}") == "0"


async def test_damage_that_is_repaired_at_the_same_time_is_not_moved(store: OpenPostgresStore, tables: Tables) -> None:
    await store.claim("a", RECORD)
    tables.execute("UPDATE {t} SET state = 'gone'")

    class RepairingConnection:
        def __init__(self, connection: Connection) -> None:
            self.connection = connection

        async def fetch(self, query: str, *args: object) -> object:
            rows = await self.connection.fetch(query, *args)
            tables.execute("UPDATE {t} SET state = 'active'")
            return rows

    async def work(connection: Connection) -> object:
        return await store.move_damage("a", RECORD.revision, cast("Connection", RepairingConnection(connection)))

    assert await store.database.run(work) == RECORD
    assert await store.load("a") == RECORD


async def test_the_row_of_another_account_is_damage(store: OpenPostgresStore, tables: Tables) -> None:
    """A damaged index may find such a row."""
    await store.claim("a", RECORD)
    row = await store.database.run(lambda connection: store.statements.load.fetchrow(connection, "a"))
    assert read_found("a", row) == RECORD
    assert isinstance(read_found("b", row), StoreCorruptError)


@pytest.fixture
async def any_bytes(postgres: Postgres) -> AsyncIterator[asyncpg.Pool]:
    """A database to which text that is not UTF-8 can be written, as a failing disk leaves it."""
    postgres.execute("CREATE DATABASE any_bytes STRATEGY file_copy")
    postgres.execute("CREATE CAST (bytea AS text) WITHOUT FUNCTION", "any_bytes")
    async with asyncpg.create_pool(postgres.dsn_of("any_bytes"), min_size=0) as pool:
        await PostgresStore(pool).init()
        yield pool
    postgres.execute("DROP DATABASE any_bytes")


@pytest.mark.parametrize("record", [RECORD, fresh_pending()], ids=["active", "pending"])
async def test_every_cut_and_every_bit_flip_of_a_row_is_damage(any_bytes: asyncpg.Pool, record: StoredIdentity) -> None:
    async with PostgresStore(any_bytes) as store:
        await store.claim("a", record)
        (row,) = await any_bytes.fetch("SELECT * FROM mimi_store.identities")
        damages = [(column, damaged) for column in COLUMNS for damaged in _damages(row[column])]
        assert len(damages) > 1_000
        damages = damages[:: rounds(5, 1)]
        await asyncio.gather(*(store.claim(f"a-{number}", record) for number in range(len(damages))))
        for column, how in COLUMNS.items():
            change = f"UPDATE mimi_store.identities SET {column} = {how} WHERE account = $2"
            of_it = [(damage, f"a-{number}") for number, (name, damage) in enumerate(damages) if name == column]
            await any_bytes.executemany(change, of_it)
        for number in range(len(damages)):
            with pytest.raises(StoreCorruptError):
                await store.load(f"a-{number}")
        for number in range(0, len(damages), 7):
            with pytest.raises(StoreCorruptError) as caught:
                await store.claim(f"a-{number}", fresh_pending())
            assert await store.forget(f"a-{number}", DamagedIdentity(caught.value.revision or b"")) is None
        assert await store.load("a") == record


def _damages(value: object) -> Iterator[object]:
    if isinstance(value, float):
        return (struct.unpack(">d", flipped)[0] for flipped in flips(struct.pack(">d", value)))
    whole = value.encode() if isinstance(value, str) else bytes(value or b"")  # type: ignore[call-overload]  # bytes or None
    return chain(flips(whole), cuts(whole))


async def test_a_flipped_bit_on_the_disk_is_never_no_record() -> None:
    """The page has a checksum: the row is not shown at all."""
    with Postgres() as server:
        tables = Tables.make(server)
        async with tables.store() as store:
            await store.claim("a", RECORD)
        table = tables.execute("SELECT pg_relation_filepath('{t}')")
        server.stop()
        file = server.folder / "data" / table
        content = bytearray(file.read_bytes())
        content[content.index(SECRET.encode())] ^= 1
        file.write_bytes(content)
        server.start()
        async with tables.store() as store:
            for call in (store.load("a"), store.claim("a", fresh_pending()), store.forget("a", RECORD)):
                with pytest.raises(StoreError):
                    await call
