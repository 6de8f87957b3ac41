"""What a failing disk leaves is damage: never another id, and never nothing."""

import asyncio
import sqlite3
import uuid
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path

import pytest

from mimi_async.errors import MimiError, StoreCorruptError
from mimi_async.identity import AnonymousId
from mimi_async.stores import DamagedIdentity, SQLiteStore, StoredIdentity
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending
from tests.conftest import rounds

from .rows import COLUMNS, behind_the_back_of, cuts, flips

SECRET = "5ec2e70f-0000-4000-8000-5ec2e70f5ec2"
RECORD = StoredIdentity.active(AnonymousId(SECRET), uuid.uuid4().hex)

DAMAGES = {
    "unknown state": "state = 'gone'",
    "another known state": "state = 'rejected'",
    "state is no text": "state = CAST('active' AS BLOB)",
    "state is no UTF-8": "state = CAST(x'ff61' AS TEXT)",
    "secret of the wrong length": "secret = substr(secret, 2)",
    "secret of the other kind": f"secret = '{'0' * 64}'",
    "another id": "secret = replace(secret, '5ec2', '5ec3')",
    "secret is no text": "secret = CAST(secret AS BLOB)",
    "secret is no UTF-8": "secret = CAST(x'ff' || secret AS TEXT)",
    "secret is empty": "secret = ''",
    "malformed user_id": "user_id = 'someone'",
    "user_id of a wrong type": "user_id = x'00'",
    "no user_id": "user_id = NULL",
    "short revision": "revision = x'00'",
    "revision is no blob": "revision = 'revision'",
    "another revision": "revision = randomblob(16)",
    "changed_at is no number": "changed_at = 'yesterday'",
    "changed_at is beyond all numbers": "changed_at = 9e999",
    "another digest": "digest = randomblob(8)",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ids.sqlite3"


def spoil(path: Path, change: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"UPDATE identities SET {change} WHERE account = 'a'")


def raw(path: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        return connection.execute(f"SELECT * FROM {table}").fetchall()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_damaged_row_is_kept_told_and_moved_aside_as_it_is(path: Path, damage: str) -> None:
    async with SQLiteStore(path) as store:
        await store.claim("a", RECORD)
        other = await store.claim("b", fresh_active())
        spoil(path, damage)
        (row,) = (row for row in raw(path, "identities") if row[0] == b"a")
    async with SQLiteStore(path) as store:
        with pytest.raises(StoreCorruptError, match=r"can't be read; it was kept: `start_over\(\)` moves it") as caught:
            await store.load("a")
        error = caught.value
        assert error.revision is not None
        assert len(error.revision) == 16
        assert SECRET not in f"{error!r} {error.__dict__} {error.__cause__!r} {error.__context__!r}"
        assert await store.forget("a", DamagedIdentity(error.revision)) is None
        (aside,) = raw(path, "set_aside")
        assert aside[:-1] == row
        assert await store.load("a") is None
        assert await store.load("b") == other


async def test_an_intact_revision_names_the_damage(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await store.claim("a", RECORD)
        spoil(path, "secret = 'gone'")
        with pytest.raises(StoreCorruptError) as caught:
            await store.load("a")
    assert caught.value.revision == RECORD.revision


async def test_a_row_copied_from_another_account_is_damage(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await store.claim("a", RECORD)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("UPDATE identities SET account = 'b'")
        with pytest.raises(StoreCorruptError):
            await store.load("b")


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("record", [RECORD, fresh_pending()], ids=["active", "pending"])
async def test_every_cut_and_every_bit_flip_of_a_row_is_damage(path: Path, record: StoredIdentity, column: str) -> None:
    async with SQLiteStore(path) as store:
        await store.claim("account 031", record)
        with behind_the_back_of(path) as rows:
            whole = rows.get(column, "account 031")
            for damaged in chain(flips(whole), cuts(whole) if column != "changed_at" else ()):
                with suppress(sqlite3.IntegrityError):  # a number of seconds that is none, which SQLite does not keep
                    rows.set(column, damaged)
                    for call in (store.load("account 031"), store.claim("account 031", fresh_pending())):
                        with pytest.raises(StoreCorruptError):
                            await call
            if whole:
                rows.set(column, whole)
        assert await store.load("account 031") == record


@pytest.fixture
def kept(path: Path) -> dict[str, StoredIdentity]:
    """What a file holds that spans several pages."""
    records = {f"account {number:03}": fresh_active() for number in range(60)}

    async def keep() -> None:
        async with SQLiteStore(path) as store:
            await asyncio.gather(*(store.claim(account, record) for account, record in records.items()))

    asyncio.run(keep())
    return records


async def verdicts(path: Path, kept: dict[str, StoredIdentity]) -> list[StoredIdentity | None]:
    """Load all accounts; tell what was returned, leaving out what was refused."""
    found = []
    try:
        async with SQLiteStore(path) as store:
            for account, record in kept.items():
                try:
                    loaded = await store.load(account)
                except MimiError:
                    continue
                assert loaded in (None, record)
                found.append(loaded)
    except MimiError:
        pass
    return found


def test_a_file_cut_short_at_any_size_loses_nobody(path: Path, kept: dict[str, StoredIdentity]) -> None:
    whole = path.read_bytes()
    for size in range(0, len(whole), rounds(509, 97)):
        path.write_bytes(whole[:size])
        assert None not in asyncio.run(verdicts(path, kept))


def test_a_flipped_bit_anywhere_loses_nobody_and_gives_nobody_another_id(
    path: Path, kept: dict[str, StoredIdentity]
) -> None:
    whole = path.read_bytes()
    heads = (bit for page in range(0, len(whole), 4096) for bit in range(page * 8, page * 8 + 12 * 8))
    for bit in chain(heads, range(3, len(whole) * 8, rounds(509, 53))):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert None not in asyncio.run(verdicts(path, kept))


@pytest.mark.parametrize("name", [b"account 03\xff", b"account 031", b"account 999", b"zzzzzzzzzzz", bytes(11)])
async def test_an_account_whose_name_was_damaged_gets_no_second_user(
    path: Path, kept: dict[str, StoredIdentity], name: bytes
) -> None:
    path.write_bytes(path.read_bytes().replace(b"account 030", name))
    async with SQLiteStore(path) as store:
        for call in (store.load("account 030"), store.claim("account 030", fresh_pending())):
            with pytest.raises(StoreCorruptError, match="restore a backup") as caught:
                await call
            assert caught.value.revision is None
    found = await verdicts(path, kept)
    assert None not in found
    assert len(found) > len(kept) / 2
