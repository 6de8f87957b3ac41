"""Starting over looks once more: a profile hangs on the id, and the verdict may have been a mistake."""

from collections.abc import AsyncIterator

import pytest

from mimi_async import (
    AnonymousId,
    ConfigurationError,
    ErasedAnonymousIdError,
    LogInAnonymously,
    MimiCore,
    MimiUser,
    ServerBusyError,
    StoreUnavailableError,
    UnknownAnonymousIdError,
)
from mimi_async.stores import StoredIdentity

from .launches import App
from .stores_for_tests import AFTER_FORGET, BEFORE_FORGET

SESSIONS = "/v1/sessions"


@pytest.fixture
async def old(app: App) -> MimiUser:
    return await app.first_launch()


@pytest.fixture
async def shut(app: App, old: MimiUser) -> AsyncIterator[MimiCore]:
    """A core whose restore has met a 404, by a mistake that was corrected since."""
    app.server.fail(SESSIONS, problem="unknown-anonymous-id", times=1)
    async with app.core() as core:
        assert isinstance(core.auth.gate.cause, UnknownAnonymousIdError)
        app.observer.updates.clear()
        yield core


async def test_an_id_that_is_known_again_is_not_discarded(app: App, shut: MimiCore, old: MimiUser) -> None:
    with pytest.raises(ConfigurationError, match=r"knows .* again: nothing was discarded, the user is back"):
        await shut.auth.start_over()
    assert shut.auth.current_user == old == await shut.auth.ensure_user()
    assert shut.auth.gate.is_open
    await app.assert_stored("active", old)
    assert app.observer.kinds == [(old, None, None)]
    assert app.server.users == 1


async def test_nothing_is_discarded_while_the_server_does_not_say(app: App, shut: MimiCore, old: MimiUser) -> None:
    kept = await app.record()
    app.server.fail(times=None)
    with pytest.raises(ServerBusyError):
        await shut.auth.start_over()
    assert await app.record() == kept
    assert not shut.auth.gate.is_open
    app.server.clear_faults()
    with pytest.raises(ConfigurationError):
        await shut.auth.start_over()
    assert shut.auth.current_user == old


async def test_an_id_that_was_erased_since_is_delivered_as_erased(app: App, shut: MimiCore, old: MimiUser) -> None:
    await app.erase_elsewhere(old)
    assert await shut.auth.start_over() is None
    assert shut.auth.gate.is_open
    assert shut.auth.current_user is None
    assert await app.record() is None
    assert app.observer.kinds == [(None, None, ErasedAnonymousIdError)]


@pytest.fixture
async def erasing(app: App, old: MimiUser) -> MimiUser:
    """A user whose reset was cut off."""
    await app.put(StoredIdentity(state="erasing", secret=old.anonymous_id, user_id=old.id))
    return old


async def log_in(app: App, anonymous_id: AnonymousId) -> MimiUser:
    """Log in elsewhere, with an id that was returned."""
    async with app.core(account="elsewhere") as core:
        return await core.auth.authenticate(LogInAnonymously(anonymous_id))


async def test_an_id_to_be_erased_that_stays_unknown_is_discarded(app: App, erasing: MimiUser) -> None:
    app.server.fail(SESSIONS, problem="unknown-anonymous-id", times=None)
    async with app.core() as core:
        assert isinstance(core.auth.gate.cause, UnknownAnonymousIdError)
        assert await core.auth.start_over() == erasing.anonymous_id
        assert core.auth.gate.is_open
    assert await app.record() is None
    app.server.clear_faults()
    assert await log_in(app, erasing.anonymous_id) == erasing


async def test_an_erasure_of_a_user_that_is_known_again_is_finished(app: App, erasing: MimiUser) -> None:
    app.server.fail(SESSIONS, problem="unknown-anonymous-id", times=1)
    async with app.core() as core:
        assert isinstance(core.auth.gate.cause, UnknownAnonymousIdError)
        assert await core.auth.start_over() is None
        assert core.auth.gate.is_open
    assert await app.record() is None
    assert app.observer.kinds == [(None, None, UnknownAnonymousIdError), (None, None, ErasedAnonymousIdError)]
    with pytest.raises(ErasedAnonymousIdError):
        await log_in(app, erasing.anonymous_id)


async def test_an_erasure_is_not_discarded_while_the_server_does_not_say(app: App, erasing: MimiUser) -> None:
    app.server.fail(SESSIONS, problem="unknown-anonymous-id", times=1)
    async with app.core() as core:
        kept = await app.record()
        app.server.fail(times=None)
        with pytest.raises(ServerBusyError):
            await core.auth.start_over()
        assert await app.record() == kept


async def test_an_id_that_another_process_had_rejected_is_discarded_while_its_user_is_here(
    app: App, old: MimiUser
) -> None:
    async with app.core() as core:
        await app.put(StoredIdentity(state="rejected", secret=old.anonymous_id, user_id=old.id))
        app.server.fail(SESSIONS, problem="unknown-anonymous-id", times=None)
        assert await core.auth.start_over() == old.anonymous_id
        assert core.auth.current_user is None
        assert core.auth.gate.is_open
    assert await app.record() is None


async def test_an_id_whose_removal_got_no_answer_is_returned_by_the_next_call(app: App, shut: MimiCore) -> None:
    app.server.fail(SESSIONS, problem="unknown-anonymous-id", times=None)
    app.store.at(AFTER_FORGET, lost)
    with pytest.raises(StoreUnavailableError):
        await shut.auth.start_over()
    assert await app.record() is None
    old = await shut.auth.start_over()
    assert old is not None
    assert await shut.auth.start_over() is None
    app.server.clear_faults()
    await log_in(app, old)
    user = await shut.auth.ensure_user()
    assert user.anonymous_id != old


async def test_an_id_that_was_not_discarded_after_all_is_not_returned_later(app: App, shut: MimiCore) -> None:
    app.server.fail(SESSIONS, problem="unknown-anonymous-id", times=1)
    app.store.at(BEFORE_FORGET, lost)
    with pytest.raises(StoreUnavailableError):
        await shut.auth.start_over()
    with pytest.raises(ConfigurationError, match="again: nothing was discarded, the user is back"):
        await shut.auth.start_over()
    await shut.auth.log_out()
    assert await shut.auth.start_over() is None


async def lost() -> None:
    msg = "the answer was lost"
    raise StoreUnavailableError(msg)
