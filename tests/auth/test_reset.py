"""A reset erases and delivers that the host drops its copy; cut off anywhere, it is finished or taken back."""

import asyncio

import pytest

from mimi_async import ErasedAnonymousIdError, LogInAnonymously

from .launches import App

USER = "/v1/user"


async def test_erases_the_profile_and_delivers_that_the_host_drops_its_copy(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        await core.auth.reset()
        assert core.auth.current_user is None
        assert core.auth.gate.is_open
        assert app.server.users == 0
        assert await app.record() is None
        assert app.observer.kinds == [(user, None, None), (None, user, ErasedAnonymousIdError)]
        assert app.erased_id == user.anonymous_id
        with pytest.raises(ErasedAnonymousIdError):
            await core.auth.authenticate(LogInAnonymously(user.anonymous_id))


async def test_writes_that_it_begins_before_it_asks(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core, app.server.hold(USER, method="DELETE") as held:
        reset = asyncio.create_task(core.auth.reset())
        await held.arrived.wait()
        await app.assert_stored("erasing", user)
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


async def test_an_erasure_on_another_product_is_success(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        await app.erase_elsewhere(user)
        await core.auth.reset()
        assert core.auth.current_user is None
    assert await app.record() is None
    assert app.observer.kinds == [(None, user, ErasedAnonymousIdError)]


async def test_an_erasure_whose_reply_was_lost_is_success(app: App) -> None:
    user = await app.first_launch()
    app.server.drop_reply(USER, method="DELETE")
    async with app.core() as core:
        await core.auth.reset()
        assert core.auth.current_user is None
    assert await app.record() is None
    assert app.server.users == 0
    assert app.observer.kinds[-1] == (None, user, ErasedAnonymousIdError)
