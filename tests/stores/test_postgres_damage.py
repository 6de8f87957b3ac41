"""What became of a row in PostgreSQL is damage: never another id, and never nothing."""

import asyncio
import re
import struct
import uuid
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from typing import cast

import asyncpg
import pytest

from examples.partner_cluster.postgres import Postgres
from mimi_async.errors import StoreCorruptError, StoreError
from mimi_async.identity import AnonymousId
from mimi_async.postgres import Connection
from mimi_async.stores import DamagedIdentity, PostgresStore, StoredIdentity
from mimi_async.stores.postgres.statements import found_in
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending

from .rows import cuts, flips
from .tables import Tables

SECRET = "5ec2e70f-0000-4000-8000-5ec2e70f5ec2"
RECORD = StoredIdentity.active(AnonymousId(SECRET), uuid.uuid4().hex)

DAMAGES = {
    "unknown state": "state = 'gone'",
    "another known state": "state = 'rejected'",
    "no state": "state = NULL",
    "secret of the wrong length": "secret = substr(secret, 2)",
    "secret of the other kind": f"secret = '{'0' * 64}'",
    "another id": "secret = replace(secret, '5ec2', '5ec3')",
    "secret is empty": "secret = ''",
    "no secret": "secret = NULL",
    "malformed user_id": "user_id = 'someone'",
    "empty user_id": "user_id = ''",
    "no user_id": "user_id = NULL",
    "short revision": "revision = '\\x00'",
    "long revision": "revision = revision || revision",
    "another revision": "revision = decode(md5('another'), 'hex')",
    "no revision": "revision = NULL",
    "changed_at is beyond all numbers": "changed_at = 'infinity'",
    "changed_at is no number": "changed_at = 'NaN'",
    "no changed_at": "changed_at = NULL",
    "another digest": "digest = sha256('another')",
    "no digest": "digest = NULL",
    "another of all": "state = 'a', secret = 'b', user_id = 'c', revision = 'd', changed_at = 0, digest = 'e'",
}

COLUMNS = {
    "state": "$1::bytea::text",
    "secret": "$1::bytea::text",
    "user_id": "$1::bytea::text",
    "revision": "$1",
    "changed_at": "$1",
    "digest": "$1",
}
"""A column → how its bytes are written, be they UTF-8 or not."""


@pytest.fixture
def tables(postgres: Postgres) -> Tables:
    return Tables.make(postgres)


@pytest.fixture
async def store(tables: Tables) -> AsyncIterator[PostgresStore]:
    async with tables.store() as store:
        yield store


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_damaged_row_is_kept_told_and_moved_aside_as_it_is(
    store: PostgresStore, tables: Tables, damage: str
) -> None:
    await store.claim("a", RECORD)
    other = await store.claim("b", fresh_active())
    tables.tell(f"UPDATE {{t}} SET {damage} WHERE account = 'a'")
    row = tables.tell("SELECT * FROM {t} WHERE account = 'a'")
    with pytest.raises(StoreCorruptError, match=r"can't be read; it was kept: `start_over\(\)` moves it") as caught:
        await store.load("a")
    error = caught.value
    assert error.revision is not None
    assert len(error.revision) == 16
    assert SECRET not in f"{error!r} {error.__dict__} {error.__cause__!r} {error.__context__!r}"
    assert await store.forget("a", DamagedIdentity(error.revision)) is None
    assert re.fullmatch(re.escape(row) + r"\|\d+(\.\d+)?", tables.tell("SELECT * FROM {a}"))
    assert await store.load("a") is None
    assert await store.load("b") == other


@pytest.mark.parametrize("damage", ["secret = 'gone'", "changed_at = 0", "user_id = NULL", "digest = NULL"])
async def test_a_damaged_record_is_kept_also_where_its_revision_was_expected(
    store: PostgresStore, tables: Tables, damage: str
) -> None:
    await store.claim("a", RECORD)
    tables.tell(f"UPDATE {{t}} SET {damage}")
    row = tables.tell("SELECT * FROM {t}")
    for call in (store.replace("a", RECORD, fresh_active()), store.forget("a", RECORD), store.set_aside("a", RECORD)):
        with pytest.raises(StoreCorruptError) as caught:
            await call
        assert caught.value.revision == RECORD.revision
    assert tables.tell("SELECT * FROM {t}") == row


async def test_a_row_copied_from_another_account_is_damage(store: PostgresStore, tables: Tables) -> None:
    await store.claim("a", RECORD)
    tables.tell("UPDATE {t} SET account = 'b'")
    with pytest.raises(StoreCorruptError):
        await store.load("b")


async def test_what_was_set_aside_can_be_brought_back_by_hand(store: PostgresStore, tables: Tables) -> None:
    await store.claim("a", RECORD)
    await store.set_aside("a", RECORD)
    tables.tell("INSERT INTO {t} SELECT account, state, secret, user_id, revision, changed_at, digest FROM {a}")
    assert await store.load("a") == RECORD


async def test_damage_that_has_become_other_damage_is_not_moved(store: PostgresStore, tables: Tables) -> None:
    await store.claim("a", RECORD)
    tables.tell("UPDATE {t} SET revision = NULL")
    with pytest.raises(StoreCorruptError) as caught:
        await store.load("a")
    assert caught.value.revision is not None
    tables.tell("UPDATE {t} SET secret = NULL")
    with pytest.raises(StoreCorruptError):
        await store.forget("a", DamagedIdentity(caught.value.revision))
    assert tables.tell("SELECT count(*) FROM {a}") == "0"


async def test_damage_that_somebody_mends_meanwhile_is_not_moved(store: PostgresStore, tables: Tables) -> None:
    await store.claim("a", RECORD)
    tables.tell("UPDATE {t} SET state = 'gone'")

    class Meddling:
        def __init__(self, connection: Connection) -> None:
            self.connection = connection

        async def fetchrow(self, query: str, *args: object) -> object:
            row = await self.connection.fetchrow(query, *args)
            tables.tell("UPDATE {t} SET state = 'active'")
            return row

    async def work(connection: Connection) -> object:
        return await store._damage_moved("a", RECORD.revision, cast("Connection", Meddling(connection)))

    assert await store._database.run(work) == RECORD
    assert await store.load("a") == RECORD


async def test_the_row_of_another_account_is_damage_whoever_has_found_it(store: PostgresStore, tables: Tables) -> None:
    """As a damaged index would find it."""
    await store.claim("a", RECORD)
    row = await store._database.run(lambda connection: connection.fetchrow(store._statements.load, "a"))
    assert found_in("a", row) == RECORD
    assert isinstance(found_in("b", row), StoreCorruptError)


@pytest.fixture
async def any_bytes(postgres: Postgres) -> AsyncIterator[asyncpg.Pool]:
    """A database where a text may be written that is no UTF-8, as a failing disk leaves it."""
    postgres.tell("CREATE DATABASE any_bytes STRATEGY file_copy")
    postgres.tell("CREATE CAST (bytea AS text) WITHOUT FUNCTION", "any_bytes")
    async with asyncpg.create_pool(postgres.dsn_of("any_bytes"), min_size=0) as pool:
        await PostgresStore(pool).init()
        yield pool
    postgres.tell("DROP DATABASE any_bytes")


@pytest.mark.parametrize("record", [RECORD, fresh_pending()], ids=["active", "pending"])
async def test_every_cut_and_every_bit_flip_of_a_row_is_damage(any_bytes: asyncpg.Pool, record: StoredIdentity) -> None:
    async with PostgresStore(any_bytes) as store:
        await store.claim("a", record)
        (row,) = await any_bytes.fetch("SELECT * FROM mimi_store.identities")
        damages = [(column, damaged) for column in COLUMNS for damaged in _damages(row[column])]
        assert len(damages) > 1_000
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


async def test_a_bit_that_flips_on_the_disk_is_never_taken_for_nothing() -> None:
    """The page has a checksum: the row is not shown at all."""
    with Postgres() as server:
        tables = Tables.make(server)
        async with tables.store() as store:
            await store.claim("a", RECORD)
        table = tables.tell("SELECT pg_relation_filepath('{t}')")
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
