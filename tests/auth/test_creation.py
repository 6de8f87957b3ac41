"""A user is made exactly once, whatever gets lost on the way."""

import asyncio

import pytest

from mimi_async import Anonymously, ServerBusyError, ServerUnreachableError, StoreUnavailableError
from mimi_async.auth.controller import AuthController

from ..doubles import set_timeouts
from .launches import ACCOUNT, App, raising
from .stores_for_tests import AFTER_CLAIM, BEFORE_CLAIM, BEFORE_REPLACE, Moment

USERS = "/v1/anonymous-users"
CREATE = ("POST", USERS)


async def test_stores_the_key_before_the_request_and_the_id_before_the_update(app: App) -> None:
    seen: list[str | None] = []

    async def look() -> None:
        record = await app.record()
        seen.append(None if record is None else record.state)

    def receiver(sender: AuthController, /, *, current: object, old: object, error: object) -> None:
        assert sender.current_user == current
        seen.append("delivered")

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
    assert seen == [None, "pending", "pending", "delivered", "active"]
    assert app.observer.kinds == [(user, None, None)]
    assert app.store.writes == ["claim", "replace"]


async def test_makes_one_user_when_the_first_reply_is_lost(app: App) -> None:
    app.server.drop_reply(USERS)
    async with app.core() as core:
        user = await core.auth.ensure_user()
    assert app.asked == [CREATE, CREATE]
    assert app.server.users == 1
    assert (await app.load_record()).anonymous_id == user.anonymous_id


async def test_makes_one_user_when_all_replies_are_lost_and_the_app_is_launched_again(app: App) -> None:
    app.server.drop_reply(USERS, times=3)
    async with app.core() as core:
        with pytest.raises(ServerUnreachableError):
            await core.auth.ensure_user()
        assert core.auth.current_user is None
    assert (await app.load_record()).state == "pending"
    assert app.server.users == 1
    assert app.observer.kinds == [(None, None, ServerUnreachableError)]
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
    assert app.observer.kinds == [(users[0], None, None)]
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
        is_down = True
        set_timeouts(core, call=0.05)
        with pytest.raises(StoreUnavailableError, match="known_id"):
            await core.auth.ensure_user()
        assert core.auth.current_user is None
        assert app.store.writes == []
        assert app.asked == []
        is_down = False
        set_timeouts(core, call=30.0)
        user = await core.auth.ensure_user()
    assert app.server.users == 1
    assert app.observer.kinds == [(None, None, StoreUnavailableError), (user, None, None)]
