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
    MimiError,
    StoreUnavailableError,
    Timeouts,
    UnknownAnonymousIdError,
)
from mimi_async.secret import CreateKey
from mimi_async.stores import StoredIdentity

from .launches import ACCOUNT, ENTRIES, App, Entry, raising, returning

SESSIONS = "/v1/sessions"
LOG_IN = ("POST", SESSIONS)
STRANGE_ID = AnonymousId("3f2a0000-0000-4000-8000-00000000cafe")

every_entry = pytest.mark.parametrize("entry", ENTRIES)
PENDING = StoredIdentity.pending(CreateKey.generate())

nothing_or_pending = pytest.mark.parametrize("stored", [None, PENDING], ids=["nothing", "pending"])


async def _put(app: App, stored: StoredIdentity | None) -> None:
    if stored is not None:
        await app.put(stored)


@every_entry
@nothing_or_pending
async def test_its_id_is_logged_in_and_kept(app: App, entry: Entry, stored: StoredIdentity | None) -> None:
    user = await app.make_user_elsewhere()
    await _put(app, stored)
    async with app.restore(entry, known_id=returning(user.anonymous_id)) as restored:
        restored.assert_open(user)
    await app.assert_stored("active", user)
    assert app.store.writes == ["replace"]
    assert app.observer.kinds == [(user, None, None)]
    assert app.asked == [LOG_IN]
    assert app.server.users == 1


@every_entry
@nothing_or_pending
async def test_its_id_is_set_aside_where_the_server_does_not_know_it(
    app: App, entry: Entry, stored: StoredIdentity | None
) -> None:
    await _put(app, stored)
    async with app.restore(entry, known_id=returning(STRANGE_ID)) as restored:
        assert isinstance(restored.error, UnknownAnonymousIdError)
        restored.assert_shut()
        with pytest.raises(UnknownAnonymousIdError):
            await restored.auth.ensure_user()
    record = await app.load_record()
    assert (record.state, record.secret, record.user_id) == ("rejected", STRANGE_ID, None)
    assert app.observer.kinds == [(None, None, UnknownAnonymousIdError)]
    assert app.server.users == 0


async def test_its_id_that_was_set_aside_heals_when_the_server_knows_it(app: App) -> None:
    user = await app.make_user_elsewhere()
    app.server.fail(SESSIONS, problem="unknown-anonymous-id")
    async with app.core(known_id=returning(user.anonymous_id)):
        pass
    async with app.core() as core:
        assert core.auth.current_user == user
    record = await app.load_record()
    assert (record.state, record.user_id) == ("active", user.id)


@every_entry
async def test_its_id_of_an_erased_user_counts_as_none_and_is_delivered(app: App, entry: Entry) -> None:
    user = await app.make_user_elsewhere()
    await app.erase_elsewhere(user)
    async with app.restore(entry, known_id=returning(user.anonymous_id)) as restored:
        restored.assert_open(None)
    assert await app.record() is None
    assert app.store.writes == []
    assert app.observer.kinds == [(None, None, ErasedAnonymousIdError)]
    assert app.erased_id == user.anonymous_id


async def test_its_id_of_an_erased_user_does_not_keep_a_new_one_from_being_made(app: App) -> None:
    user = await app.make_user_elsewhere()
    await app.erase_elsewhere(user)
    async with app.core(known_id=returning(user.anonymous_id)) as core:
        fresh = await core.auth.ensure_user()
    assert fresh.anonymous_id != user.anonymous_id
    assert app.server.users == 1


async def test_its_id_of_an_erased_user_lets_a_pending_creation_go_on(app: App) -> None:
    user = await app.make_user_elsewhere()
    await app.erase_elsewhere(user)
    await app.put(PENDING)
    async with app.core(known_id=returning(user.anonymous_id)) as core:
        assert core.auth.current_user is not None
    assert app.server.users == 1


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


@every_entry
@nothing_or_pending
@pytest.mark.parametrize("known_id", FAILURES.values(), ids=FAILURES.keys())
async def test_its_failure_is_never_taken_for_no_user(
    app: App, entry: Entry, stored: StoredIdentity | None, known_id: Callable[[str], Any]
) -> None:
    await _put(app, stored)
    async with app.restore(entry, known_id=known_id) as restored:
        assert isinstance(restored.error, StoreUnavailableError)
        restored.assert_shut()
        assert "hunter2" not in str(restored.error)
        if restored.has_started:
            with pytest.raises(StoreUnavailableError, match="known_id"):
                await restored.auth.ensure_user()
    assert await app.record() == stored
    assert app.store.writes == []
    assert app.asked == []
    assert set(app.observer.kinds) == {(None, None, StoreUnavailableError)}
    assert app.server.users == 0


@every_entry
@nothing_or_pending
async def test_its_silence_ends_at_the_deadline_and_is_never_taken_for_no_user(
    app: App, entry: Entry, stored: StoredIdentity | None
) -> None:
    await _put(app, stored)
    core_settings = {"known_id": lambda _: asyncio.Event().wait()}
    app.timeouts = Timeouts(call=0.25, retry_base=0.0)
    async with app.restore(entry, **core_settings) as restored:
        assert isinstance(restored.error, StoreUnavailableError)
        restored.assert_shut()
    assert await app.record() == stored
    assert app.asked == []
    assert app.observer.kinds == [(None, None, StoreUnavailableError)]


@pytest.mark.parametrize("answer", ["3f2a0000-0000-4000-8000-00000000cafe", 17, b"id", False])
async def test_its_answer_of_another_type_is_refused(app: App, answer: object) -> None:
    async with app.restore("auth_for", known_id=returning(answer)) as restored:
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
        elsewhere = await app.make_user_elsewhere()
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


async def test_its_exception_is_neither_cause_nor_context_of_an_error(app: App) -> None:
    async with app.restore("auth_for", known_id=raising(RuntimeError("hunter2"))) as restored:
        error: MimiError | None = restored.error
        assert error is not None
        assert error.__cause__ is None
        assert error.__context__ is None
