"""A process that is killed at any step leaves an account that goes on, and loses no record that anybody was told of."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mimi_async.errors import StoreCorruptError, StoreUnavailableError
from mimi_async.stores import KeyringStore, StoredIdentity
from mimi_async.stores.keyring.texts import Tombstone, write_text
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending

from .keyrings import FileKeyring, keyring_at, store_at

ROOT = Path(__file__).parents[2]
NEW, OLD, THIRD = fresh_active(), fresh_pending(), fresh_active()
UNAVAILABLE, CORRUPT = "StoreUnavailableError", "StoreCorruptError"

Answer = StoredIdentity | str | None


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A place without a record, and what the victim needs to know."""
    place = tmp_path / "place"
    place.mkdir()
    for name, record in (("new", NEW), ("old", OLD)):
        (place / name).write_text(write_text("a", record))
    return place


def killed(origin: Path, verb: str) -> Iterator[tuple[Path, bool]]:
    """Yield all that kills have left, and at last, False, what was left without one."""
    command = [sys.executable, "-m", "tests.stores.keyring_victim", str(origin), verb]
    ended = subprocess.run(command, cwd=ROOT, check=True, timeout=100, stdout=subprocess.PIPE)
    marks = json.loads(ended.stdout)
    assert len(marks) > 4
    states = []
    for number, was_killed in enumerate(marks, 1):
        place = origin.with_name(f"{origin.name}-{number}")
        state = (was_killed, keyring_at(place).entries(), [file.read_bytes() for file in sorted(place.glob("*/*/*"))])
        if state not in states:
            states.append(state)
            yield place, was_killed


@contextmanager
def copied(place: Path) -> Iterator[Path]:
    """A copy to try something with."""
    copy = place.with_name("copy")
    shutil.copytree(place, copy)
    yield copy
    shutil.rmtree(copy)


async def keep_old(place: Path) -> None:
    async with store_at(place) as store:
        await store.claim("a", OLD)


async def answer(store: KeyringStore) -> Answer:
    try:
        return await store.load("a")
    except (StoreUnavailableError, StoreCorruptError) as error:
        return type(error).__name__


def records_in(place: Path) -> set[bytes]:
    """What the keyring holds beside tombstones."""
    entries = keyring_at(place).entries().values()
    return {text for text in entries if Tombstone.read("a", text.decode()) is None}


async def seen(place: Path) -> Answer:
    """What a store reads."""
    with copied(place) as copy:
        async with store_at(copy) as store:
            return await answer(store)


async def denied(place: Path) -> Answer:
    """What a store makes of a keyring that says "not found"."""
    with copied(place) as copy:
        async with store_at(copy, FileKeyring(copy / "empty.sqlite3")) as store:
            return await answer(store)


async def check_one_keyring_wins(place: Path) -> None:
    """Another keyring, as of another session, may take a new record only if no old one is ever read again."""
    with copied(place) as copy:
        other = FileKeyring(copy / "other.sqlite3")
        async with store_at(copy, other) as store:
            if await answer(store) == UNAVAILABLE:
                return
            assert await store.claim("a", THIRD) == THIRD
        async with store_at(copy) as store:
            assert await answer(store) == UNAVAILABLE
        async with store_at(copy, other) as store:
            assert await answer(store) == THIRD


async def check_it_goes_on(place: Path) -> None:
    """The account is as usable as any."""
    with copied(place) as copy:
        async with store_at(copy) as store:
            assert await store.replace("a", await store.load("a"), THIRD) == THIRD
            assert await store.forget("a", THIRD) is None
            assert await store.claim("a", THIRD) == THIRD


@pytest.mark.parametrize("verb", ["claim", "replace nothing"])
async def test_a_first_write_is_there_or_not_and_for_good_once_it_was_told(origin: Path, verb: str) -> None:
    found = set()
    for place, was_killed in killed(origin, verb):
        record = await seen(place)
        assert record in (None, NEW) if was_killed else record == NEW
        assert await denied(place) in ((None, UNAVAILABLE) if was_killed else (UNAVAILABLE,))
        await check_one_keyring_wins(place)
        await check_it_goes_on(place)
        found.add(record is None)
    assert found == {False, True}


async def test_what_was_read_after_a_write_that_was_cut_off_is_there_for_good(origin: Path) -> None:
    cut_off = [place for place, was_killed in killed(origin, "claim") if was_killed]
    half_done = [place for place in cut_off if (await seen(place), await denied(place)) == (NEW, None)]
    assert half_done
    for place, was_killed in killed(half_done[0], "load"):
        assert await seen(place) == NEW
        assert await denied(place) in ((None, UNAVAILABLE) if was_killed else (UNAVAILABLE,))
        await check_one_keyring_wins(place)
        await check_it_goes_on(place)


async def test_an_overwrite_leaves_the_old_or_the_new_record_and_is_never_denied(origin: Path) -> None:
    await keep_old(origin)
    found = set()
    for place, was_killed in killed(origin, "replace"):
        record = await seen(place)
        assert record in (OLD, NEW) if was_killed else record == NEW
        assert await denied(place) == UNAVAILABLE
        await check_it_goes_on(place)
        found.add(record == NEW)
    assert found == {False, True}


@pytest.mark.parametrize("verb", ["forget", "set aside"])
async def test_a_forget_leaves_the_record_or_none(origin: Path, verb: str) -> None:
    await keep_old(origin)
    found = set()
    for place, was_killed in killed(origin, verb):
        record = await seen(place)
        assert record in (OLD, None) if was_killed else record is None
        if verb == "set aside":
            assert records_in(place) == {write_text("a", OLD).encode()}
        elif not was_killed:
            assert records_in(place) == set()
        assert record is None or await denied(place) == UNAVAILABLE
        await check_one_keyring_wins(place)
        await check_it_goes_on(place)
        found.add(record is None)
    assert found == {False, True}


async def test_damage_that_is_moved_aside_is_never_lost(origin: Path) -> None:
    await keep_old(origin)
    keyring_at(origin).spoil("a", b"gone")
    with pytest.raises(StoreCorruptError) as caught:
        async with store_at(origin) as store:
            await store.load("a")
    assert caught.value.revision is not None
    (origin / "damage").write_text(caught.value.revision.hex())
    found = set()
    for place, was_killed in killed(origin, "forget damage"):
        record = await seen(place)
        assert record in (CORRUPT, None) if was_killed else record is None
        assert records_in(place) == {b"gone"}
        found.add(record is None)
    assert found == {False, True}
