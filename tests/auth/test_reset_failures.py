"""A reset that raises has put the record back; cut off anywhere, the next restore finishes it."""

import asyncio
from collections.abc import Awaitable, Callable

import attrs
import pytest

from mimi_async import (
    AnonymityViolationError,
    CredentialsRejectedError,
    ErasedAnonymousIdError,
    ForciblyLoggedOutError,
    MimiError,
    NotAuthenticatedError,
    NotRestoredError,
    NotStartedError,
    ProtocolError,
    ServerBusyError,
    ServerTimeoutError,
    ServerUnreachableError,
    StoreConflictError,
    StoreUnavailableError,
)
from mimi_async.testing import SentReply

from ..doubles import set_timeouts
from .launches import App, raising
from .stores_for_tests import AFTER_FORGET, AFTER_REPLACE, BEFORE_FORGET, BEFORE_LOAD, BEFORE_REPLACE

USER = "/v1/user"
SESSIONS = "/v1/sessions"

disk_full = raising(StoreUnavailableError("disk full"))


async def hang() -> None:
    await asyncio.Event().wait()


def named(reply: SentReply) -> SentReply:
    return attrs.evolve(reply, body=reply.body.replace(b'"is_anonymous":true', b'"is_anonymous":false'))


Plan = Callable[[App], None]
FAILURES: dict[str, tuple[type[MimiError], Plan]] = {
    "503": (ServerBusyError, lambda app: app.server.fail(USER, times=3, method="DELETE")),
    "a stranger's 404": (ProtocolError, lambda app: app.server.fail(USER, status=404, method="DELETE")),
    "a stranger's 410": (ProtocolError, lambda app: app.server.fail(USER, status=410, method="DELETE")),
    "redirect": (ProtocolError, lambda app: app.server.fail(USER, status=307, method="DELETE")),
    "never sent": (ServerUnreachableError, lambda app: app.server.drop_request(USER, times=3, method="DELETE")),
    "tokens rejected": (
        ProtocolError,
        lambda app: app.server.fail(USER, problem="token-rejected", times=None, method="DELETE"),
    ),
    "log-in fails": (ServerBusyError, lambda app: app.server.fail(SESSIONS, times=3)),
    "log-in refused": (CredentialsRejectedError, lambda app: app.server.fail(SESSIONS, problem="client-not-allowed")),
    "log-in names a person": (AnonymityViolationError, lambda app: app.server.rewrite(SESSIONS, named)),
    "not begun": (StoreUnavailableError, lambda app: app.store.at(BEFORE_REPLACE, disk_full)),
    "begun, and not known": (StoreUnavailableError, lambda app: app.store.at(AFTER_REPLACE, disk_full)),
    "can't be read": (StoreUnavailableError, lambda app: app.store.at(BEFORE_LOAD, disk_full)),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_leaves_user_and_record_as_they_were_when_it_fails(app: App, failure: str) -> None:
    user = await app.first_launch()
    error, plan = FAILURES[failure]
    async with app.core() as core:
        plan(app)
        with pytest.raises(error):
            await core.auth.reset()
        app.server.clear_faults()
        assert core.auth.current_user == user
        assert core.auth.gate.is_open
        await app.assert_stored("active", user)
        assert app.observer.kinds == [(user, None, None), (user, user, error)]
        assert app.server.users == 1
        await core.auth.reset()
    assert app.server.users == 0
    assert await app.record() is None


@pytest.mark.parametrize("moment", [BEFORE_REPLACE, AFTER_REPLACE], ids=["before", "after"])
async def test_leaves_user_and_record_as_they_were_when_the_store_hangs_while_it_begins(
    app: App, moment: tuple[str, str]
) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        app.store.at(moment, hang)  # type: ignore[arg-type]  # a moment
        set_timeouts(core, call=0.1)
        with pytest.raises(StoreUnavailableError):
            await core.auth.reset()
        set_timeouts(core, call=30.0)
        assert (await core.auth.reload_user()) == user
        await app.assert_stored("active", user)
    assert app.observer.kinds == [(user, None, None), (user, user, StoreUnavailableError)]
    assert app.server.users == 1


async def test_an_erasure_without_an_answer_by_the_deadline_is_put_back(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core, app.server.hold(USER, method="DELETE"):
        set_timeouts(core, call=0.1)
        with pytest.raises(ServerTimeoutError):
            await core.auth.reset()
        set_timeouts(core, call=30.0)
        await core.auth.log_out()
    assert app.observer.kinds == [(user, None, None), (user, user, ServerTimeoutError), (None, user, None)]


async def test_the_next_call_learns_of_an_erasure_that_worked_after_all(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        app.store.at(BEFORE_FORGET, disk_full)
        with pytest.raises(StoreUnavailableError):
            await core.auth.reset()
        assert app.server.users == 0
        await app.assert_stored("active", user)
        with pytest.raises(ErasedAnonymousIdError):
            await core.auth.reload_user()
        assert core.auth.current_user is None
        assert core.auth.gate.is_open
    assert await app.record() is None
    assert app.observer.kinds == [
        (user, None, None),
        (user, user, StoreUnavailableError),
        (None, user, ErasedAnonymousIdError),
    ]


async def test_what_could_not_be_put_back_is_put_back_by_the_next_call(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        app.server.fail(USER, status=404, method="DELETE")
        app.store.at(AFTER_REPLACE, _refusing_what_follows(app))
        with pytest.raises(ProtocolError):
            await core.auth.reset()
        with pytest.raises(NotRestoredError):
            _ = core.auth.current_user
        assert not core.auth.gate.is_open
        assert (await app.load_record()).state == "erasing"
        assert await core.auth.ensure_user() == user
        assert core.auth.gate.is_open
    assert app.server.users == 1
    assert app.observer.kinds == [(user, None, None), (user, user, ProtocolError)]


def _refusing_what_follows(app: App) -> Callable[[], Awaitable[object]]:
    async def refuse() -> None:
        app.store.at(BEFORE_REPLACE, disk_full)

    return refuse


async def test_an_erasure_that_could_not_be_noted_is_learned_by_the_next_call(app: App) -> None:
    await app.first_launch()
    async with app.core() as core:
        app.store.at(AFTER_FORGET, disk_full)
        with pytest.raises(StoreUnavailableError):
            await core.auth.reset()
        with pytest.raises(ErasedAnonymousIdError):
            await core.auth.reload_user()
        assert core.auth.current_user is None
        assert core.auth.gate.is_open
    assert await app.record() is None
    assert app.server.users == 0


@pytest.mark.parametrize("processed", [False, True], ids=["never handled", "reply lost"])
async def test_the_next_restore_finishes_what_leaving_the_core_cut_off(app: App, *, processed: bool) -> None:
    await app.first_launch()
    async with app.server.hold(USER, method="DELETE", processed=processed) as held:
        async with app.core() as core:
            set_timeouts(core, shutdown=0.0)
            reset = asyncio.create_task(core.auth.reset())
            await held.arrived.wait()
        with pytest.raises(NotStartedError):
            await reset
        assert (await app.load_record()).state == "erasing"
    app.clear_records()
    async with app.core() as core:
        assert core.auth.current_user is None
        assert core.auth.gate.is_open
    assert await app.record() is None
    assert app.server.users == 0
    assert app.observer.kinds == [(None, None, ErasedAnonymousIdError)]


async def test_an_id_that_the_server_does_not_know_is_set_aside_and_the_user_forced_out(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        app.server.fail(SESSIONS, problem="unknown-anonymous-id")
        with pytest.raises(ForciblyLoggedOutError):
            await core.auth.reset()
        assert core.auth.current_user is None
        assert not core.auth.gate.is_open
    await app.assert_stored("rejected", user)
    assert app.observer.kinds[-1] == (None, user, ForciblyLoggedOutError)
    assert app.server.users == 1


async def test_never_says_erased_where_another_process_has_made_it_undone(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        app.store.at(AFTER_REPLACE, lambda: app.put_user(user))
        with pytest.raises(StoreConflictError):
            await core.auth.reset()
        assert core.auth.current_user == user
        assert app.server.users == 1
        await core.auth.reset()
    assert app.server.users == 0
    assert app.observer.kinds[-1] == (None, user, ErasedAnonymousIdError)


async def test_a_log_out_does_not_undo_a_reset_that_another_process_has_begun(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        await app.put_state("erasing")
        await core.auth.log_out()
        assert core.auth.current_user is None
    assert app.server.users == 0
    assert app.observer.kinds[-1] == (None, user, ErasedAnonymousIdError)


async def test_never_erases_a_user_that_another_process_has_logged_in(app: App) -> None:
    user = await app.first_launch()
    other = await app.make_user_elsewhere()
    async with app.core() as core:
        await app.put_user(other)
        with pytest.raises(StoreConflictError):
            await core.auth.reset()
        assert core.auth.current_user == other
    assert app.observer.kinds[-1] == (other, user, None)
    assert app.server.users == 2


async def test_has_nothing_to_erase_where_another_process_has_logged_out(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        await app.forget_record()
        with pytest.raises(NotAuthenticatedError, match="another process"):
            await core.auth.reset()
        assert core.auth.current_user is None
    assert app.observer.kinds[-1] == (None, user, None)
    assert app.server.users == 1
