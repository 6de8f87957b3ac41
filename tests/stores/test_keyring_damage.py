"""What a failing disk makes of an entry is damage: never another id, and never nothing."""

import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from mimi_async.errors import StoreCorruptError, StoreUnavailableError
from mimi_async.identity import AnonymousId
from mimi_async.stores import DamagedIdentity, StoredIdentity
from mimi_async.stores.keyring.texts import Tombstone
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending

from .keyrings import FileKeyring, failing_with, keyring_at, marker_at, store_at

SECRET = "5ec2e70f-0000-4000-8000-5ec2e70f5ec2"
ACTIVE = StoredIdentity.active(AnonymousId(SECRET), uuid.uuid4().hex)
ACCOUNTS = {"active": ACTIVE, "pending": fresh_pending()}


def damages(whole: bytes) -> Iterator[bytes]:
    for size in range(len(whole)):
        yield whole[:size]
    for bit in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)


class Answering(FileKeyring):
    """Answers with a text that was never written, which is faster than to write it."""

    answers: bytes | None = None

    def get_password(self, service: str, username: str) -> str | None:
        return super().get_password(service, username) if self.answers is None else self.answers.decode()


@pytest.mark.parametrize("record", ACCOUNTS.values(), ids=ACCOUNTS.keys())
async def test_every_truncation_and_every_bit_flip_of_an_entry_is_damage(
    tmp_path: Path, record: StoredIdentity
) -> None:
    backend = Answering(tmp_path / "keyring.sqlite3")
    async with store_at(tmp_path, backend) as store:
        await store.claim("a", record)
        (whole,) = backend.entries().values()
        seen = set()
        for text in damages(whole):
            backend.answers = text
            with pytest.raises(StoreCorruptError) as caught:
                await store.load("a")
            assert caught.value.revision not in seen
            assert caught.value.revision is not None
            seen.add(caught.value.revision)
        backend.answers = whole
        assert await store.load("a") == record


async def test_every_truncation_and_every_bit_flip_of_a_tombstone_is_damage(tmp_path: Path) -> None:
    backend = Answering(tmp_path / "keyring.sqlite3")
    async with store_at(tmp_path, backend) as store:
        backend.answers = whole = Tombstone().write("a").encode()
        assert await store.load("a") is None
        for text in damages(whole):
            backend.answers = text
            with pytest.raises(StoreCorruptError):
                await store.load("a")


async def test_a_tombstone_of_another_account_is_damage(tmp_path: Path) -> None:
    backend = Answering(tmp_path / "keyring.sqlite3")
    backend.answers = Tombstone().write("b").encode()
    async with store_at(tmp_path, backend) as store:
        with pytest.raises(StoreCorruptError):
            await store.load("a")


ODD = {
    "empty": b"",
    "no JSON": b"gone",
    "no UTF-8": b"\xff\xfe" + SECRET.encode(),
    "a list": b"[]",
    "a number": b"7",
    "other JSON": b'{"record": null, "checksum": 7}',
    "many brackets": b"[" * 100_000,
    "NUL": b"\0",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
async def test_damage_is_kept_told_and_moved_aside_as_it_is(tmp_path: Path, text: bytes) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        await store.claim("a", ACTIVE)
        other = await store.claim("b", fresh_active())
        backend.spoil("a", text)
        with pytest.raises(StoreCorruptError, match=r"can't be read; it was kept: `start_over\(\)` moves it") as caught:
            await store.load("a")
        error = caught.value
        assert error.revision is not None
        assert SECRET not in f"{error!r} {error.__dict__} {error.__cause__!r} {error.__context__!r}"
        assert await store.forget("a", DamagedIdentity(error.revision)) is None
        assert await store.load("a") is None
        assert await store.load("b") == other
        (aside,) = (password for name, password in backend.entries().items() if ".aside." in name)
    assert aside == text or aside.decode() == text.decode(errors="backslashreplace")


async def test_an_entry_copied_from_another_account_is_damage(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        await store.claim("a", ACTIVE)
        (text,) = backend.entries().values()
        await store.claim("b", fresh_active())
        backend.spoil("b", text)
        with pytest.raises(StoreCorruptError):
            await store.load("b")


def fail_at_the_tombstone(backend: FileKeyring) -> None:
    """Take the copy of the damage, and nothing else."""
    sets = itertools.count(1)
    backend.before = lambda verb: failing_with(LookupError())() if verb == "set" and next(sets) == 2 else None


async def test_damage_that_heals_before_it_is_forgotten_is_a_record_again(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        await store.claim("a", ACTIVE)
        (whole,) = backend.entries().values()
        backend.spoil("a", b"gone")
        with pytest.raises(StoreCorruptError) as caught:
            await store.load("a")
        assert caught.value.revision is not None
        fail_at_the_tombstone(backend)
        with pytest.raises(StoreUnavailableError):
            await store.forget("a", DamagedIdentity(caught.value.revision))
        backend.spoil("a", whole)
        assert await store.load("a") == ACTIVE
        assert marker_at(tmp_path).exists()


@pytest.mark.parametrize("text", [b"gone", b""])
async def test_damage_that_is_being_forgotten_is_never_nothing(tmp_path: Path, text: bytes) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        await store.claim("a", ACTIVE)
        backend.spoil("a", text)
        with pytest.raises(StoreCorruptError) as caught:
            await store.load("a")
        assert caught.value.revision is not None
        fail_at_the_tombstone(backend)
        with pytest.raises(StoreUnavailableError):
            await store.forget("a", DamagedIdentity(caught.value.revision))
        backend.is_lying = True
        with pytest.raises(StoreUnavailableError, match="says that there is no record"):
            await store.load("a")
        backend.is_lying = False
        with pytest.raises(StoreCorruptError):
            await store.load("a")
        assert await store.forget("a", DamagedIdentity(caught.value.revision)) is None
        assert await store.load("a") is None
