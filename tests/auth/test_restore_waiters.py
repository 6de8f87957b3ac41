"""Callers that wait for one restore: each gets a result of its own, and the end of one affects no other."""

import asyncio

import pytest

from mimi_async import NotStartedError, ServerBusyError, ViewsClosedError

from ..doubles import set_timeouts
from ..doubles import whose as view
from .launches import ACCOUNT, App

SESSIONS = "/v1/sessions"
LOG_IN = ("POST", SESSIONS)


async def test_a_start_that_is_cancelled_keeps_the_record_and_closes_what_it_had_opened(app: App) -> None:
    user = await app.first_launch()
    kept = await app.record()
    entered = app.store.is_entered
    async with app.server.hold(SESSIONS) as held:
        core = app.core()
        presented = asyncio.create_task(core.present(view))
        started = asyncio.create_task(core.__aenter__())
        await held.arrived.wait()
        set_timeouts(core, shutdown=0.0)
        started.cancel()
        with pytest.raises(asyncio.CancelledError):
            await started
        with pytest.raises(ViewsClosedError) as caught:
            await presented
        assert isinstance(caught.value.__cause__, NotStartedError)
    assert await app.record() == kept
    assert app.store.is_entered == entered
    assert app.store.writes == []
    async with app.core() as core:
        assert core.auth.current_user == user


async def test_a_caller_that_is_cancelled_leaves_the_restore_to_the_others(app: App) -> None:
    user = await app.first_launch()
    async with app.core(account=None) as core, app.server.hold(SESSIONS) as held:
        first, second = (asyncio.create_task(core.auth_for(ACCOUNT)) for _ in range(2))
        third = asyncio.create_task(core.present(view, account=ACCOUNT))
        await held.arrived.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        held.release()
        assert (await second).current_user == user
        assert await third == user
    assert app.asked == [LOG_IN]
    assert app.observer.kinds == [(user, None, None)]


async def test_each_waiter_of_a_failed_restore_gets_its_own_error(app: App) -> None:
    await app.first_launch()
    app.server.fail(SESSIONS, times=None)
    async with app.core(account=None) as core:
        errors = await asyncio.gather(*(core.auth_for(ACCOUNT) for _ in range(100)), return_exceptions=True)
    assert {type(error) for error in errors} == {ServerBusyError}
    assert len({id(error) for error in errors}) == 100
    assert app.asked == [LOG_IN] * 6  # callers that came during the first attempt share a new one
    assert app.observer.kinds == [(None, None, ServerBusyError)] * 2


async def test_all_views_that_share_a_failed_attempt_raise_its_cause(app: App) -> None:
    await app.first_launch()
    app.server.fail(SESSIONS, times=None)
    async with app.core(account=None) as core:
        with pytest.raises(ServerBusyError):
            await core.auth_for(ACCOUNT)
        views = (core.present(view, account=ACCOUNT) for _ in range(100))
        errors = await asyncio.gather(*views, return_exceptions=True)
    assert {type(error) for error in errors} == {ViewsClosedError}
    assert len({id(error) for error in errors}) == 100
    assert all(isinstance(error.__cause__, ServerBusyError) for error in errors if isinstance(error, Exception))
    assert app.asked == [LOG_IN] * 9
