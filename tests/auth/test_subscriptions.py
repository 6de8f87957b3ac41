"""What one subscription is told: the settled state first where it asks for it, then a chain, until it is closed."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mimi_async import (
    AuthController,
    LogInAnonymously,
    MimiCore,
    MimiError,
    MimiUser,
    ServerUnreachableError,
    Subscription,
)

from ..conftest import rounds
from ..doubles import FakeServer, News, an_id, core_of, settle, store_with, then

DOWN = ServerUnreachableError("down")


# Replay --------------------------------------------------------------------------------------------------------------


async def test_replay_tells_the_settled_state_first_in_every_state() -> None:
    server = FakeServer()
    async with core_of(server) as core:
        nobody, somebody, afterwards = News(), News(), News()
        with core.auth.observe(nobody, replay=True):
            await settle()
        user = await core.auth.ensure_user()
        with core.auth.observe(somebody, replay=True):
            changed = await core.auth.update_user(sex="female")
        await core.auth.log_out()
        with core.auth.observe(afterwards, replay=True):
            await settle()
    assert nobody.kinds == [(None, None, None)]
    assert somebody.kinds == [(user, None, None), (changed, user, None)]
    assert afterwards.kinds == [(None, None, None)]


@pytest.mark.parametrize("is_known", [True, False])
async def test_replay_before_the_restore_waits_for_it_and_for_no_failure_before(is_known: bool) -> None:
    server, news = FakeServer(), News()
    store = await store_with(server.add_user(), "a") if is_known else None
    async with core_of(server, account=None, **({"store": store} if store else {})) as core:
        auth = core._controllers.of("a")
        auth.observe(news, replay=True)
        await settle()
        assert news.told == []
        if is_known:
            server.script = [DOWN]
            with pytest.raises(ServerUnreachableError):
                await auth.restore()
            assert news.told == []
        await auth.restore()
        assert news.kinds == [(auth.current_user, None, None)]


async def test_replay_in_the_middle_of_a_turn_tells_the_state_before_and_then_the_change() -> None:
    server, news = FakeServer(), News()
    async with core_of(server) as core:
        old = await core.auth.ensure_user()
        release = server.hold()
        change = asyncio.create_task(core.auth.update_user(sex="male"))
        await server.asked()
        core.auth.observe(news, replay=True)
        await settle()
        assert news.kinds == [(old, None, None)]
        release.set()
        new = await change
    assert news.kinds == [(old, None, None), (new, old, None)]


async def test_replay_during_a_delivery_tells_the_newest_state_once_and_in_its_place() -> None:
    server, news = FakeServer(), News()
    async with core_of(server) as core:

        async def subscribe(auth: AuthController, update: object) -> None:
            first.close()
            auth.observe(news, replay=True)

        first = core.observe(then(subscribe))
        user = await core.auth.ensure_user()
        await settle()
        changed = await core.auth.update_user(sex="male")
    assert news.kinds == [(user, None, None), (changed, user, None)]


# Closing -------------------------------------------------------------------------------------------------------------


async def test_closing_twice_is_fine_and_closing_before_the_first_delivery_stops_it() -> None:
    news = News()
    async with core_of(FakeServer()) as core:
        subscription = core.auth.observe(news, replay=True)
        assert subscription.is_open
        subscription.close()
        subscription.close()
        assert not subscription.is_open
        await core.auth.ensure_user()
    assert news.told == []


async def test_a_subscription_that_is_closed_during_a_delivery_is_not_told_any_more() -> None:
    news = News()
    async with core_of(FakeServer()) as core:
        subscriptions: list[Subscription] = []
        core.observe(lambda _, **__: subscriptions[0].close())
        subscriptions.append(core.auth.observe(news))
        await core.auth.ensure_user()
    assert news.told == []


async def test_a_subscription_made_during_a_delivery_is_told_from_the_next_update_on() -> None:
    news = News()
    async with core_of(FakeServer()) as core:
        core.observe(lambda _, **__: core.auth.observe(news) if not news.told else None)
        user = await core.auth.ensure_user()
        assert news.told == []
        changed = await core.auth.update_user(sex="male")
    assert news.kinds[0] == (changed, user, None)


async def test_an_update_that_waits_in_line_is_not_told_to_who_subscribed_after_its_commit() -> None:
    release, news, replayed = asyncio.Event(), News(), News()
    async with core_of(FakeServer()) as core:
        core.observe(then(lambda _, __: release.wait()))
        calls = [asyncio.create_task(core.auth.ensure_user())]
        await settle()
        calls.append(asyncio.create_task(core.auth.update_user(sex="male")))
        await settle()
        core.auth.observe(news)
        core.auth.observe(replayed, replay=True)
        release.set()
        _, user = await asyncio.gather(*calls)
        await settle()
    assert news.told == []
    assert replayed.kinds == [(user, None, None)]


async def test_observe_holds_its_receiver_and_one_receiver_may_subscribe_twice() -> None:
    told: list[object] = []
    async with core_of(FakeServer()) as core:
        for _ in range(2):
            core.auth.observe(lambda _, **update: told.append(update))
        gc.collect()
        await core.auth.ensure_user()
    assert len(told) == 2


# The chain -----------------------------------------------------------------------------------------------------------

Act = Callable[[MimiCore, FakeServer], Awaitable[object]]


async def fail(core: MimiCore, server: FakeServer) -> None:
    server.script.append(DOWN)
    await core.auth.reload_user()


ACTS: dict[str, Act] = {
    "ensure": lambda core, _: core.auth.ensure_user(),
    "year": lambda core, server: core.auth.update_user(year_of_birth=1900 + len(server.requests) % 90),
    "log in": lambda core, server: core.auth.authenticate(LogInAnonymously(server.add_user(len(server.requests) % 5))),
    "unknown": lambda core, _: core.auth.authenticate(LogInAnonymously(an_id(404))),
    "log out": lambda core, _: core.auth.log_out(),
    "reset": lambda core, _: core.auth.reset(),
    "fail": fail,
}


@given(st.lists(st.sampled_from(sorted(ACTS)), min_size=2, max_size=12), st.booleans())
@settings(max_examples=rounds(300, 10_000), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_updates_form_a_chain_under_concurrent_turns(acts: list[str], is_slow: bool) -> None:
    asyncio.run(_chain(acts, is_slow=is_slow))


async def _chain(acts: list[str], *, is_slow: bool) -> None:
    server, news, others = FakeServer(), News(), News()
    core = core_of(server)
    core.observe(news)
    if is_slow:
        core.observe(then(lambda _, __: settle(3)))
    core.auth.observe(others)
    async with core:
        outcomes = await asyncio.gather(*(ACTS[act](core, server) for act in acts), return_exceptions=True)
        assert all(isinstance(outcome, MimiError) for outcome in outcomes if isinstance(outcome, BaseException))
        last: MimiUser | None = core.auth.current_user
    news.assert_chained()
    assert others.told == news.told
    assert (news.told[-1].current if news.told else None) == last
    for update in news.told:
        assert update.error is not None or update.current != update.old
