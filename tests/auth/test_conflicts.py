"""Another process changes the record between any two steps: nothing is written over what was not expected."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mimi_async import MimiUser, StoreConflictError, StoreUnavailableError, UnknownAnonymousIdError
from mimi_async.auth.actions import take_back_write
from mimi_async.auth.state import AccountState
from mimi_async.operations.operation import Operation
from mimi_async.records.session import RecordSession, RecordSources
from mimi_async.secret import AnonymousId, CreateKey
from mimi_async.stores import MemoryStore, StoredIdentity

from ..doubles import FakeServer, an_id
from .launches import App, returning
from .stores_for_tests import (
    AFTER_CLAIM,
    AFTER_LOAD,
    AFTER_REPLACE,
    BEFORE_CLAIM,
    BEFORE_LOAD,
    BEFORE_REPLACE,
    Moment,
)

BEFORE_OURS = (BEFORE_LOAD, AFTER_LOAD, BEFORE_CLAIM)
BETWEEN = (AFTER_CLAIM, BEFORE_REPLACE)
MOMENTS = (*BEFORE_OURS, *BETWEEN, AFTER_REPLACE)
STRANGE_ID = AnonymousId("3f2a0000-0000-4000-8000-00000000cafe")

at_every_moment = pytest.mark.parametrize("moment", MOMENTS, ids=[" ".join(moment) for moment in MOMENTS])


async def _ensure_user(app: App, moment: Moment, deed: Callable[[], Awaitable[object]]) -> MimiUser:
    """Ensure a user, while another process does something at one moment of the creation."""
    async with app.core() as core:
        app.clear_records()
        app.store.at(moment, deed)
        user = await core.auth.ensure_user()
        assert core.auth.current_user == user
    assert app.observer.kinds == [(user, None, None)]
    return user


@at_every_moment
async def test_a_user_that_another_process_has_made_is_shared(app: App, moment: Moment) -> None:
    others: list[MimiUser] = []

    async def make() -> None:
        async with App(app.server, app.store).core(store=app.store.inner) as core:
            others.append(await core.auth.ensure_user())

    user = await _ensure_user(app, moment, make)
    assert others == [user]
    await app.assert_stored("active", user)
    assert app.server.users == 1


@at_every_moment
async def test_a_creation_that_another_process_has_begun_is_followed(app: App, moment: Moment) -> None:
    begun = StoredIdentity.pending(CreateKey.generate())
    user = await _ensure_user(app, moment, lambda: app.put(begun))
    if moment is AFTER_REPLACE:
        assert await app.record() == begun
        return
    await app.assert_stored("active", user)
    assert app.server.users == (1 if moment in BEFORE_OURS else 2)


@at_every_moment
async def test_another_user_that_another_process_has_stored_is_become(app: App, moment: Moment) -> None:
    other = await app.make_user_elsewhere()
    stored = StoredIdentity.active(other.anonymous_id, other.id)
    user = await _ensure_user(app, moment, lambda: app.put(stored))
    assert await app.record() == stored
    assert (user == other) is (moment is not AFTER_REPLACE)
    assert app.server.users == (1 if moment in BEFORE_OURS else 2)


@pytest.mark.parametrize("moment", [*BEFORE_OURS, *BETWEEN], ids=lambda moment: " ".join(moment))
async def test_an_id_that_another_process_has_set_aside_is_not_written_over(app: App, moment: Moment) -> None:
    rejected = StoredIdentity(state="rejected", secret=STRANGE_ID, user_id=None)
    async with app.core() as core:
        app.store.at(moment, lambda: app.put(rejected))
        with pytest.raises(UnknownAnonymousIdError):
            await core.auth.ensure_user()
        assert not core.auth.gate.is_open
        assert core.auth.current_user is None
    assert await app.record() == rejected


@pytest.mark.parametrize("moment", [*BEFORE_OURS, *BETWEEN], ids=lambda moment: " ".join(moment))
async def test_a_reset_that_another_process_has_begun_is_finished_first(app: App, moment: Moment) -> None:
    other = await app.make_user_elsewhere()
    erasing = StoredIdentity(state="erasing", secret=other.anonymous_id, user_id=other.id)
    user = await _ensure_user(app, moment, lambda: app.put(erasing))
    assert user.anonymous_id != other.anonymous_id
    await app.assert_stored("active", user)
    async with app.core(account="another", store=MemoryStore(), known_id=returning(other.anonymous_id)) as core:
        assert core.auth.current_user is None


@at_every_moment
async def test_a_record_that_another_process_has_taken_away_is_a_conflict_and_not_written_again(
    app: App, moment: Moment
) -> None:
    if moment not in BETWEEN:
        user = await _ensure_user(app, moment, app.forget_record)
        assert (await app.record() is None) is (moment is AFTER_REPLACE)
        assert app.server.users == 1
        return
    async with app.core() as core:
        app.store.at(moment, app.forget_record)
        with pytest.raises(StoreConflictError, match="nothing was written") as caught:
            await core.auth.ensure_user()
        assert caught.value.retryable
        assert await app.record() is None
        assert core.auth.current_user is None
        user = await core.auth.ensure_user()
    await app.assert_stored("active", user)
    assert app.observer.kinds == [(None, None, StoreConflictError), (user, None, None)]


async def test_a_record_that_never_stands_still_ends_in_a_conflict(app: App) -> None:
    async with app.core() as core:
        app.store.at(BEFORE_REPLACE, lambda: app.put(StoredIdentity.pending(CreateKey.generate())), times=100)
        with pytest.raises(StoreConflictError) as caught:
            await core.auth.ensure_user()
        assert caught.value.retryable
        app.store.clear_faults()
        user = await core.auth.ensure_user()
    await app.assert_stored("active", user)


async def test_a_write_is_not_taken_back_over_the_record_of_another_user() -> None:
    store, other = MemoryStore(), StoredIdentity.active(an_id(2), "2" * 32)
    await store.claim("a", other)
    deadline = asyncio.get_running_loop().time() + 30
    operation = Operation[None](deadline, returns_at_commit=True)
    session = RecordSession(RecordSources(FakeServer().send, store, None), "a", operation)
    state, user = AccountState(), MimiUser(id="1" * 32, anonymous_id=an_id(1))
    await take_back_write(state, session, user, StoreUnavailableError("no answer"), 30.0)
    assert await store.load("a") == other
    assert not state.is_restored
