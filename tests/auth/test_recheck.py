"""A verdict that a restore has met is asked about again after a while, once for all callers."""

import asyncio
from collections.abc import Callable

import pytest

from mimi_async import (
    CredentialsRejectedError,
    MimiCore,
    MimiUser,
    StoreCorruptError,
    Timeouts,
    UnknownAnonymousIdError,
    ViewsClosedError,
)

from ..doubles import set_timeouts, whose
from ..internals import controller_of
from .launches import ACCOUNT, App, raising
from .stores_for_tests import BEFORE_LOAD

SESSIONS = "/v1/sessions"
AT_ONCE = Timeouts(recheck_first=0.0)
UNKNOWN = "unknown-anonymous-id"


async def auth_for(core: MimiCore) -> MimiUser | None:
    return (await core.auth_for(ACCOUNT)).current_user


async def present(core: MimiCore) -> MimiUser | None:
    return await core.present(whose, account=ACCOUNT)


async def ensure_user(core: MimiCore) -> MimiUser | None:
    return await controller_of(core, ACCOUNT).ensure_user()


calls = pytest.mark.parametrize("call", [auth_for, present, ensure_user])


@calls
async def test_a_server_that_was_wrong_for_a_moment_shuts_no_account_out(
    app: App, call: Callable[[MimiCore], object]
) -> None:
    user = await app.first_launch()
    app.server.fail(SESSIONS, problem=UNKNOWN, times=1)
    async with app.core(account=None, timeouts=AT_ONCE) as core:
        with pytest.raises(UnknownAnonymousIdError):
            await core.auth_for(ACCOUNT)
        assert await call(core) == user  # type: ignore[misc]  # each is a coroutine function
        assert await core.present(whose, account=ACCOUNT) == user
    assert (await app.load_record()).state == "active"
    assert app.server.users == 1


@calls
async def test_a_fresh_verdict_is_raised_without_a_request(app: App, call: Callable[[MimiCore], object]) -> None:
    await app.first_launch()
    app.server.fail(SESSIONS, problem=UNKNOWN, times=1)
    async with app.core(account=None) as core:
        with pytest.raises(UnknownAnonymousIdError):
            await core.auth_for(ACCOUNT)
        for _ in range(3):
            with pytest.raises((UnknownAnonymousIdError, ViewsClosedError)):
                await call(core)  # type: ignore[misc]  # each is a coroutine function
    assert app.asked == [("POST", SESSIONS)]


async def test_it_is_asked_once_for_all_callers_and_never_creates(app: App) -> None:
    await app.first_launch()
    app.server.fail(SESSIONS, problem=UNKNOWN, times=None)
    async with app.core(account=None, timeouts=AT_ONCE) as core:
        with pytest.raises(UnknownAnonymousIdError):
            await core.auth_for(ACCOUNT)
        set_timeouts(core, recheck_first=100.0)
        outcomes = await asyncio.gather(*(ensure_user(core) for _ in range(50)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {UnknownAnonymousIdError}
    assert app.asked == [("POST", SESSIONS)] * 2
    assert app.server.users == 1


@pytest.mark.parametrize("call", [auth_for, present])
async def test_a_user_that_was_forced_out_comes_back_at_the_next_request(
    app: App, call: Callable[[MimiCore], object]
) -> None:
    user = await app.first_launch()
    async with app.core(timeouts=AT_ONCE) as core:
        await app.force_out(core, times=2)
        with pytest.raises(ViewsClosedError):
            await core.present(whose)
        assert core.auth.current_user is None
        assert await call(core) == user  # type: ignore[misc]  # each is a coroutine function
        assert core.auth.gate.is_open


async def test_an_app_of_one_account_opens_its_views_again(app: App) -> None:
    user = await app.first_launch()
    app.server.fail(SESSIONS, problem=UNKNOWN, times=1)
    async with app.core(timeouts=AT_ONCE) as core:
        assert not core.auth.gate.is_open
        assert await core.present(whose) == user


@pytest.mark.parametrize("problem", ["credentials-rejected", "client-not-allowed"])
async def test_rejected_credentials_are_tried_again_by_a_later_call(app: App, problem: str) -> None:
    user = await app.first_launch()
    app.server.fail(SESSIONS, problem=problem, times=1)
    async with app.core(account=None, timeouts=AT_ONCE) as core:
        with pytest.raises(CredentialsRejectedError):
            await core.auth_for(ACCOUNT)
        assert await auth_for(core) == user


async def test_a_record_that_is_readable_again_is_restored(app: App) -> None:
    user = await app.first_launch()
    app.store.at(BEFORE_LOAD, raising(StoreCorruptError("a wrong key", revision=b"1")))
    async with app.core(account=None, timeouts=AT_ONCE) as core:
        with pytest.raises(StoreCorruptError):
            await core.auth_for(ACCOUNT)
        assert await auth_for(core) == user


async def test_log_out_without_a_user_after_a_forced_log_out_asks_nothing(app: App) -> None:
    await app.first_launch()
    async with app.core(timeouts=AT_ONCE) as core:
        await app.force_out(core)
        app.clear_records()
        await core.auth.log_out()
    assert app.asked == []


async def test_a_recheck_of_a_forced_log_out_that_fails_changes_nothing(app: App) -> None:
    await app.first_launch()
    async with app.core(timeouts=AT_ONCE) as core:
        await app.force_out(core)
        assert await core.auth_for(ACCOUNT) is core.auth
        assert core.auth.current_user is None
        assert isinstance(core.auth.gate.cause, UnknownAnonymousIdError)
