"""A user is made exactly once, whatever gets lost on the way."""

import asyncio

import pytest

from mimi_async import (
    Anonymously,
    ServerBusyError,
    ServerUnreachableError,
    StoreUnavailableError,
)
from mimi_async.auth.controller import AuthController

from .launches import ACCOUNT, App, raising
from .stores_for_tests import AFTER_CLAIM, BEFORE_CLAIM, BEFORE_REPLACE, Moment

USERS = "/v1/anonymous-users"
CREATE = ("POST", USERS)


async def test_keeps_the_key_before_it_asks_and_the_id_before_it_tells(app: App) -> None:
    seen: list[str | None] = []

    async def look() -> None:
        record = await app.record()
        seen.append(None if record is None else record.state)

    def receiver(sender: AuthController, /, *, current: object, old: object, error: object) -> None:
        assert sender.current_user == current
        seen.append("told")

    app.store.at(BEFORE_CLAIM, look)
    app.store.at(BEFORE_REPLACE, look)
    async with app.core() as core:
        core.observe(receiver)
        async with app.server.hold(USERS) as held:
            ensured = asyncio.create_task(core.auth.ensure_user())
            await held.arrived.wait()
            await look()
            held.release()
            user = await ensured
        await look()
    assert seen == [None, "pending", "pending", "told", "active"]
    assert app.news.kinds == [(user, None, None)]
    assert app.store.writes == ["claim", "replace"]


async def test_makes_one_user_when_the_first_reply_is_lost(app: App) -> None:
    app.server.drop_reply(USERS)
    async with app.core() as core:
        user = await core.auth.ensure_user()
    assert app.asked == [CREATE, CREATE]
    assert app.server.users == 1
    record = await app.record()
    assert record is not None
    assert record.anonymous_id == user.anonymous_id


async def test_makes_one_user_when_all_replies_are_lost_and_the_app_is_launched_again(app: App) -> None:
    app.server.drop_reply(USERS, times=3)
    async with app.core() as core:
        with pytest.raises(ServerUnreachableError):
            await core.auth.ensure_user()
        assert core.auth.current_user is None
    record = await app.record()
    assert record is not None
    assert record.state == "pending"
    assert app.server.users == 1
    assert app.news.kinds == [(None, None, ServerUnreachableError)]
    async with app.core() as core:
        user = core.auth.current_user
        assert user is not None
        assert await core.auth.ensure_user() is user
    assert app.server.users == 1
    assert app.asked == [CREATE] * 4


async def test_the_next_call_goes_on_with_a_creation_that_failed(app: App) -> None:
    app.server.fail(USERS, times=3)
    async with app.core() as core:
        with pytest.raises(ServerBusyError):
            await core.auth.ensure_user()
        pending = await app.record()
        user = await core.auth.ensure_user()
        assert core.auth.current_user == user
    assert pending is not None
    assert app.store.writes == ["claim", "replace"]
    assert app.server.users == 1


@pytest.mark.parametrize("moment", [BEFORE_CLAIM, AFTER_CLAIM, BEFORE_REPLACE])
async def test_makes_one_user_when_the_store_fails_at_one_step(app: App, moment: Moment) -> None:
    app.store.at(moment, raising(StoreUnavailableError("disk full")))
    async with app.core() as core:
        with pytest.raises(StoreUnavailableError):
            await core.auth.ensure_user()
        assert core.auth.current_user is None
        user = await core.auth.ensure_user()
    async with app.core() as core:
        assert core.auth.current_user == user
    assert app.server.users == 1


async def test_a_thousand_calls_at_once_make_one_user(app: App) -> None:
    async with app.core() as core:
        users = await asyncio.gather(*(core.auth.ensure_user() for _ in range(1000)))
    assert len(set(map(id, users))) == 1
    assert app.asked == [CREATE]
    assert app.news.kinds == [(users[0], None, None)]
    assert app.server.users == 1


async def test_a_thousand_calls_through_a_service_make_one_user(app: App) -> None:
    async def onboard() -> object:
        return await (await core.auth_for(ACCOUNT)).ensure_user()

    async with app.core(account=None) as core:
        users = await asyncio.gather(*(onboard() for _ in range(1000)))
    assert len(set(map(id, users))) == 1
    assert app.asked == [CREATE]
    assert app.server.users == 1


async def test_twenty_cores_on_one_store_make_one_user(app: App) -> None:
    async def onboard() -> object:
        async with app.core() as core:
            return await core.auth.ensure_user()

    users = await asyncio.gather(*(onboard() for _ in range(20)))
    assert all(user == users[0] for user in users)
    assert app.server.users == 1


async def test_another_account_gets_another_user(app: App) -> None:
    async with app.core(account=None) as core:
        one, two = [await (await core.auth_for(account)).ensure_user() for account in ("one", "two")]
    assert one.anonymous_id != two.anonymous_id
    assert app.server.users == 2


async def test_becoming_a_new_user_by_the_route_of_the_guide_is_a_creation(app: App) -> None:
    async with app.core() as core:
        user = await core.auth.authenticate(Anonymously())
        assert core.auth.current_user == user
    async with app.core() as core:
        assert core.auth.current_user == user
    assert app.server.users == 1


@pytest.mark.parametrize("failure", ["raises", "hangs"])
async def test_nothing_is_claimed_when_known_id_fails(app: App, failure: str) -> None:
    is_down = False

    async def known_id(account: str) -> None:
        if is_down and failure == "raises":
            raise OSError
        if is_down:
            await asyncio.Event().wait()

    async with app.core(known_id=known_id) as core:
        is_down, core._shared.patience = True, 0.05
        with pytest.raises(StoreUnavailableError, match="known_id"):
            await core.auth.ensure_user()
        assert core.auth.current_user is None
        assert app.store.writes == []
        assert app.asked == []
        is_down, core._shared.patience = False, 30.0
        user = await core.auth.ensure_user()
    assert app.server.users == 1
    assert app.news.kinds == [(None, None, StoreUnavailableError), (user, None, None)]


async def test_a_caller_that_is_cancelled_leaves_a_user_that_is_kept_and_told(app: App) -> None:
    async with app.core() as core, app.server.hold(USERS) as held:
        ensured = asyncio.create_task(core.auth.ensure_user())
        await held.arrived.wait()
        ensured.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ensured
        held.release()
        user = await core.auth.ensure_user()
    assert app.news.kinds == [(user, None, None)]
    assert app.server.users == 1
