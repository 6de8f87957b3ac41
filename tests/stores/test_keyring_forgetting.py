"""What a keyring may say or do while a record is forgotten or moved aside: no step of it loses what is to be kept."""

import itertools
from collections.abc import Callable
from pathlib import Path

import keyring.errors
import pytest

from mimi_async.errors import StoreCorruptError, StoreUnavailableError
from mimi_async.stores import DamagedIdentity, KeyringStore, StoredIdentity
from mimi_async.stores.keyring.markers import name_of
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending

from .keyrings import FileKeyring, Verb, failing_with, keyring_at, nothing, store_at

DAMAGE = b"gone"
STEPS = range(1, 8)


class LyingOnce(FileKeyring):
    """Says of one entry, once, that it is not there: when it is asked for the time that counts down to it."""

    countdown = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.countdown -= 1
        text = super().get_password(service, username)
        return None if self.countdown == 0 else text


@pytest.fixture
def backend(tmp_path: Path) -> LyingOnce:
    return LyingOnce(tmp_path / "keyring.sqlite3")


async def try_to(store: KeyringStore, verb: str, record: StoredIdentity, damage: DamagedIdentity) -> bool:
    """Tell whether it was done."""
    match verb:
        case "set aside":
            call = store.set_aside("a", record)
        case "replace":
            call = store.replace("a", record, record.turned("rejected"))
        case _:
            call = store.forget("a", damage)
    try:
        await call
    except (StoreUnavailableError, StoreCorruptError):
        return False
    return True


async def damaged(store: KeyringStore, backend: FileKeyring) -> DamagedIdentity:
    backend.spoil("a", DAMAGE)
    with pytest.raises(StoreCorruptError) as caught:
        await store.load("a")
    assert caught.value.revision is not None
    return DamagedIdentity(caught.value.revision)


@pytest.mark.parametrize("verb", ["set aside", "replace", "forget damage"])
@pytest.mark.parametrize("step", STEPS)
async def test_one_lie_loses_nothing_that_is_to_be_kept(
    tmp_path: Path, backend: LyingOnce, verb: str, step: int
) -> None:
    async with store_at(tmp_path, backend) as store:
        record = await store.claim("a", fresh_active())
        kept, damage = record.secret.reveal().encode(), DamagedIdentity(record.revision)
        if verb == "forget damage":
            kept, damage = DAMAGE, await damaged(store, backend)
        backend.countdown = step
        was_done = await try_to(store, verb, record, damage)
        backend.countdown = 0
        assert any(kept in text for text in backend.entries().values())
        if not was_done and verb == "replace":
            assert await store.load("a") is not None


async def test_damage_that_is_another_when_it_is_moved_aside_is_left_as_it_is(
    tmp_path: Path, backend: LyingOnce, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_at(tmp_path, backend) as store:
        await store.claim("a", fresh_active())
        damage = await damaged(store, backend)
        texts = itertools.chain([DAMAGE.decode()], itertools.repeat("other damage"))
        with monkeypatch.context() as patched:
            patched.setattr(backend, "get_password", lambda *_: next(texts))
            with pytest.raises(StoreUnavailableError, match="something else than before of the damaged record"):
                await store.forget("a", damage)
        assert list(backend.entries().values()) == [DAMAGE]
        assert await store.forget("a", damage) is None


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_forget_that_fails_at_any_step_leaves_the_record_or_none_and_no_secret_of_it(
    tmp_path: Path, moment: str, step: int
) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        record = await store.claim("a", fresh_active())
        steps = itertools.count(1)

        def fail(verb: Verb) -> None:
            if verb != "get" and next(steps) == step:
                raise keyring.errors.KeyringLocked

        setattr(backend, moment, fail)
        try:
            await store.forget("a", record)
            expected = None
        except StoreUnavailableError:
            expected = record
        setattr(backend, moment, nothing)
        found = await store.load("a")
        assert found in (None, expected)
        if found is None:
            assert not any(record.secret.reveal().encode() in text for text in backend.entries().values())
        else:
            assert await store.forget("a", record) is None
        assert await store.claim("a", fresh_pending()) is not None


async def test_an_older_record_is_not_believed_while_a_newer_one_is_forgotten(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        old = await store.claim("a", fresh_active())
        text = backend.entries()[name_of("a")]
        new = await store.replace("a", old, fresh_active())
        assert new is not None
        cut_off(backend, 2)
        with pytest.raises(StoreUnavailableError):
            await store.forget("a", new)
        backend.before = nothing
        backend.spoil("a", text)
        with pytest.raises(StoreUnavailableError, match="another record of the account than was written last"):
            await store.load("a")


async def test_whatever_turns_up_counts_once_a_record_was_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = keyring_at(tmp_path)
    async with store_at(tmp_path, backend) as store:
        record = await store.claim("a", fresh_active())
        monkeypatch.setattr(backend, "delete_password", failing_with(keyring.errors.KeyringLocked()))
        await store.forget("a", record)
        other = FileKeyring(tmp_path / "other.sqlite3")
        async with store_at(tmp_path / "elsewhere", other) as elsewhere:
            found = await elsewhere.claim("a", fresh_active())
        async with store_at(tmp_path, other) as store_of_another_session:
            assert await store_of_another_session.load("a") == found


def cut_off(backend: FileKeyring, step: int) -> None:
    """Let a write fail."""
    sets = itertools.count(1)
    fail: Callable[[], object] = failing_with(LookupError())
    backend.before = lambda verb: fail() if verb == "set" and next(sets) == step else None
