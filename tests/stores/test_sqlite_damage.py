"""Damage by a failing disk is reported: it is never another id, and never "no record"."""

import asyncio
import sqlite3
from contextlib import suppress
from itertools import chain
from pathlib import Path

import pytest

from mimi_async.errors import MimiError, StoreCorruptError
from mimi_async.stores import SQLiteStore, StoredIdentity
from mimi_async.testing.store_contract_base import fresh_active, fresh_pending
from tests.conftest import rounds

from .damages import RECORD
from .rows import COLUMNS, behind_the_back_of, cuts, flips


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
    """Load all accounts; return the results, without the refusals."""
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


def test_a_file_that_is_cut_at_any_size_loses_no_user(path: Path, kept: dict[str, StoredIdentity]) -> None:
    whole = path.read_bytes()
    for size in range(0, len(whole), rounds(1021, 97)):
        path.write_bytes(whole[:size])
        assert None not in asyncio.run(verdicts(path, kept))


def test_a_flipped_bit_anywhere_loses_no_user_and_returns_no_other_id(
    path: Path, kept: dict[str, StoredIdentity]
) -> None:
    whole = path.read_bytes()
    heads = (bit for page in range(0, len(whole), 4096) for bit in range(page * 8, page * 8 + 12 * 8, rounds(5, 1)))
    for bit in chain(heads, range(3, len(whole) * 8, rounds(2039, 53))):
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
