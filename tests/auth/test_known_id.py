"""The partner's own account service is asked whenever the store holds no id, and what it fails to say is no answer."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mimi_async import (
    AnonymousId,
    ConfigurationError,
    ErasedAnonymousIdError,
    InvalidAnonymousIdError,
    LogInAnonymously,
    MimiError,
    MimiUser,
    StoreUnavailableError,
    UnknownAnonymousIdError,
)
from mimi_async.identity import CreateKey
from mimi_async.stores import MemoryStore, StoredIdentity

from .launches import ACCOUNT, DOORS, App, Door, raising, returning

SESSIONS = "/v1/sessions"
LOG_IN = ("POST", SESSIONS)
STRANGE_ID = AnonymousId("3f2a0000-0000-4000-8000-00000000cafe")

every_door = pytest.mark.parametrize("door", DOORS)
PENDING = StoredIdentity.pending(CreateKey.fresh())

nothing_or_pending = pytest.mark.parametrize("stored", [None, PENDING], ids=["nothing", "pending"])


async def _user_of_another_product(app: App) -> MimiUser:
    async with app.core(store=MemoryStore(), credentials=app.server.new_client()) as core:
        await core.auth.ensure_user()
        user = await core.auth.update_user(year_of_birth=1980)
    app.forget_the_past()
    return user


async def _put(app: App, stored: StoredIdentity | None) -> None:
    if stored is not None:
        await app.put(stored)


@every_door
@nothing_or_pending
async def test_its_id_is_logged_in_and_kept(app: App, door: Door, stored: StoredIdentity | None) -> None:
    user = await _user_of_another_product(app)
    await _put(app, stored)
    async with app.restored(door, known_id=returning(user.anonymous_id)) as restored:
        assert restored.auth.gate.is_open
        assert restored.auth.current_user == user
    record = await app.record()
    assert record is not None
    assert (record.state, record.secret, record.user_id) == ("active", user.anonymous_id, user.id)
    assert app.store.writes == ["replace"]
    assert app.news.kinds == [(user, None, None)]
    assert app.asked == [LOG_IN]
    assert app.server.users == 1


@every_door
@nothing_or_pending
async def test_its_id_is_set_aside_where_the_server_does_not_know_it(
    app: App, door: Door, stored: StoredIdentity | None
) -> None:
    await _put(app, stored)
    async with app.restored(door, known_id=returning(STRANGE_ID)) as restored:
        assert isinstance(restored.error, UnknownAnonymousIdError)
        restored.assert_shut()
        with pytest.raises(UnknownAnonymousIdError):
            await restored.auth.ensure_user()
    record = await app.record()
    assert record is not None
    assert (record.state, record.secret, record.user_id) == ("rejected", STRANGE_ID, None)
    assert app.news.kinds == [(None, None, UnknownAnonymousIdError)]
    assert app.server.users == 0


async def test_its_id_that_was_set_aside_heals_when_the_server_knows_it(app: App) -> None:
    user = await _user_of_another_product(app)
    app.server.fail(SESSIONS, problem="unknown-anonymous-id")
    async with app.core(known_id=returning(user.anonymous_id)):
        pass
    async with app.core() as core:
        assert core.auth.current_user == user
    record = await app.record()
    assert record is not None
    assert (record.state, record.user_id) == ("active", user.id)


@every_door
async def test_its_id_of_an_erased_user_counts_as_none_and_the_host_is_told(app: App, door: Door) -> None:
    user = await _erased(app)
    async with app.restored(door, known_id=returning(user.anonymous_id)) as restored:
        assert restored.auth.gate.is_open
        assert restored.auth.current_user is None
    assert await app.record() is None
    assert app.store.writes == []
    assert app.news.kinds == [(None, None, ErasedAnonymousIdError)]
    error = app.news.told[0].error
    assert isinstance(error, ErasedAnonymousIdError)
    assert error.anonymous_id == user.anonymous_id


async def test_its_id_of_an_erased_user_does_not_keep_a_new_one_from_being_made(app: App) -> None:
    user = await _erased(app)
    async with app.core(known_id=returning(user.anonymous_id)) as core:
        fresh = await core.auth.ensure_user()
    assert fresh.anonymous_id != user.anonymous_id
    assert app.server.users == 1


async def test_its_id_of_an_erased_user_lets_a_pending_creation_go_on(app: App) -> None:
    user = await _erased(app)
    await app.put(PENDING)
    async with app.core(known_id=returning(user.anonymous_id)) as core:
        assert core.auth.current_user is not None
    assert app.server.users == 1


async def _erased(app: App) -> MimiUser:
    user = await _user_of_another_product(app)
    async with app.core(store=MemoryStore()) as core:
        await core.auth.authenticate(LogInAnonymously(user.anonymous_id))
        await core.auth.reset()
    app.forget_the_past()
    return user


def _table_without_it(account: str) -> Any:
    """Raise before there is anything to await, as a plain function does."""
    raise KeyError(account)


FAILURES = {
    "raises before it is awaited": _table_without_it,
    "raises": raising(RuntimeError("the account service is down: password hunter2")),
    "raises OSError": raising(ConnectionRefusedError()),
    "raises a timeout": raising(TimeoutError()),
    "is cancelled": raising(asyncio.CancelledError()),  # type: ignore[arg-type]  # no Exception, and yet it happens
    "holds an id of the wrong shape": raising(InvalidAnonymousIdError("wrong shape")),
    "says unknown": raising(UnknownAnonymousIdError("no such account")),
    "says erased": raising(ErasedAnonymousIdError("no such account")),
}


@every_door
@nothing_or_pending
@pytest.mark.parametrize("known_id", FAILURES.values(), ids=FAILURES.keys())
async def test_its_failure_is_never_taken_for_no_user(
    app: App, door: Door, stored: StoredIdentity | None, known_id: Callable[[str], Any]
) -> None:
    await _put(app, stored)
    async with app.restored(door, known_id=known_id) as restored:
        assert isinstance(restored.error, StoreUnavailableError)
        restored.assert_shut()
        assert "hunter2" not in str(restored.error)
        if restored.has_started:
            with pytest.raises(StoreUnavailableError, match="known_id"):
                await restored.auth.ensure_user()
    assert await app.record() == stored
    assert app.store.writes == []
    assert app.asked == []
    assert set(app.news.kinds) == {(None, None, StoreUnavailableError)}
    assert app.server.users == 0


@every_door
@nothing_or_pending
async def test_its_silence_ends_at_the_deadline_and_is_never_taken_for_no_user(
    app: App, door: Door, stored: StoredIdentity | None
) -> None:
    await _put(app, stored)
    core_settings = {"known_id": lambda _: asyncio.Event().wait()}
    app.patience = 0.25
    async with app.restored(door, **core_settings) as restored:
        assert isinstance(restored.error, StoreUnavailableError)
        restored.assert_shut()
    assert await app.record() == stored
    assert app.asked == []
    assert app.news.kinds == [(None, None, StoreUnavailableError)]


@pytest.mark.parametrize("answer", ["3f2a0000-0000-4000-8000-00000000cafe", 17, b"id", False])
async def test_its_answer_of_another_type_is_refused(app: App, answer: object) -> None:
    async with app.restored("auth_for", known_id=returning(answer)) as restored:
        assert isinstance(restored.error, ConfigurationError)
        assert "AnonymousId(text)" in str(restored.error)
        with pytest.raises(ConfigurationError):
            await restored.auth.ensure_user()
    assert await app.record() is None
    assert app.asked == []


async def test_it_is_asked_before_a_user_is_made(app: App) -> None:
    answers: list[AnonymousId | None] = [None]

    async def known_id(account: str) -> AnonymousId | None:
        assert account == ACCOUNT
        assert await app.record() is None
        return answers[-1]

    async with app.core(known_id=known_id) as core:
        assert core.auth.current_user is None
        elsewhere = await _user_of_another_product(app)
        answers.append(elsewhere.anonymous_id)
        assert await core.auth.ensure_user() == elsewhere
    assert app.server.users == 1


async def test_a_call_on_the_same_account_from_within_it_is_refused_at_once(app: App) -> None:
    async def known_id(account: str) -> AnonymousId:
        return (await (await core.auth_for(account)).ensure_user()).anonymous_id

    core = app.core(account=None, known_id=known_id)
    async with core:
        with pytest.raises(ConfigurationError, match="from within its own known_id"):
            await core.auth_for(ACCOUNT)
    assert app.asked == []


async def test_what_it_raises_hangs_on_no_error_of_ours(app: App) -> None:
    async with app.restored("auth_for", known_id=raising(RuntimeError("hunter2"))) as restored:
        error: MimiError | None = restored.error
        assert error is not None
        assert error.__cause__ is None
        assert error.__context__ is None
