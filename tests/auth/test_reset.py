"""A reset erases, tells the host to drop its copy, and cut off anywhere it is finished or made undone."""

import asyncio

import pytest

from mimi_async import (
    ErasedAnonymousIdError,
    LogInAnonymously,
    MimiUser,
    NotAuthenticatedError,
)
from mimi_async.stores import MemoryStore

from .launches import App

USER = "/v1/user"
SESSIONS = "/v1/sessions"


async def test_erases_the_profile_and_tells_the_host_to_drop_its_copy(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        await core.auth.reset()
        assert core.auth.current_user is None
        assert core.auth.gate.is_open
        assert app.server.users == 0
        assert await app.record() is None
        with pytest.raises(ErasedAnonymousIdError):
            await core.auth.authenticate(LogInAnonymously(user.anonymous_id))
    assert app.news.kinds[:2] == [(user, None, None), (None, user, ErasedAnonymousIdError)]
    error = app.news.told[1].error
    assert isinstance(error, ErasedAnonymousIdError)
    assert error.anonymous_id == user.anonymous_id


async def test_writes_that_it_begins_before_it_asks(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core, app.server.hold(USER, method="DELETE") as held:
        reset = asyncio.create_task(core.auth.reset())
        await held.arrived.wait()
        record = await app.record()
        assert record is not None
        assert (record.state, record.anonymous_id) == ("erasing", user.anonymous_id)
        held.release()
        await reset
    assert app.store.writes == ["replace", "forget"]


async def test_a_new_user_after_a_reset_is_another_one(app: App) -> None:
    old = await app.first_launch()
    async with app.core() as core:
        await core.auth.reset()
        user = await core.auth.ensure_user()
    assert user.anonymous_id != old.anonymous_id
    assert app.server.users == 1


async def test_without_a_user_there_is_nothing_to_reset(app: App) -> None:
    async with app.core() as core:
        with pytest.raises(NotAuthenticatedError, match=r"ensure_user\(\)"):
            await core.auth.reset()
    assert app.news.told == []
    assert app.asked == []


async def test_an_erasure_on_another_product_meanwhile_is_success(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        await _erase_elsewhere(app, user)
        await core.auth.reset()
        assert core.auth.current_user is None
    assert await app.record() is None
    assert (None, user, ErasedAnonymousIdError) in app.news.kinds


async def test_an_erasure_whose_reply_was_lost_is_success(app: App) -> None:
    user = await app.first_launch()
    app.server.drop_reply(USER, method="DELETE")
    async with app.core() as core:
        await core.auth.reset()
        assert core.auth.current_user is None
    assert await app.record() is None
    assert app.server.users == 0
    assert app.news.kinds[-1] == (None, user, ErasedAnonymousIdError)


async def _erase_elsewhere(app: App, user: MimiUser) -> None:
    elsewhere = App(app.server, app.store).core(store=MemoryStore(), credentials=app.server.new_client())
    async with elsewhere as core:
        await core.auth.authenticate(LogInAnonymously(user.anonymous_id))
        await core.auth.reset()
