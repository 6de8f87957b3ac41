"""The updates of one subscription: with replay the settled state first, then a chain, until it is closed."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mimi_async import (
    AuthController,
    ErasedAnonymousIdError,
    LogInAnonymously,
    MimiCore,
    MimiError,
    MimiUser,
    ServerUnreachableError,
    Subscription,
)

from ..conftest import rounds
from ..doubles import FakeServer, Observer, an_id, core_of, settle, store_with, then
from ..internals import controller_of

DOWN = ServerUnreachableError("down")


# Replay --------------------------------------------------------------------------------------------------------------


async def test_replay_delivers_the_settled_state_first_in_every_state() -> None:
    server = FakeServer()
    async with core_of(server) as core:
        without_user, with_user, afterwards = Observer(), Observer(), Observer()
        with core.auth.observe(without_user, replay=True):
            await settle()
        user = await core.auth.ensure_user()
        with core.auth.observe(with_user, replay=True):
            changed = await core.auth.update_user(sex="female")
        await core.auth.log_out()
        with core.auth.observe(afterwards, replay=True):
            await settle()
    assert without_user.kinds == [(None, None, None)]
    assert with_user.kinds == [(user, None, None), (changed, user, None)]
    assert afterwards.kinds == [(None, None, None)]


@pytest.mark.parametrize("is_known", [True, False])
async def test_replay_before_the_restore_waits_for_it_and_for_no_failure_before(is_known: bool) -> None:
    server, observer = FakeServer(), Observer()
    store = await store_with(server.add_user(), "a") if is_known else None
    async with core_of(server, account=None, **({"store": store} if store else {})) as core:
        auth = controller_of(core, "a")
        auth.observe(observer, replay=True)
        await settle()
        assert observer.updates == []
        if is_known:
            server.script = [DOWN]
            with pytest.raises(ServerUnreachableError):
                await auth.restore()
            assert observer.updates == []
        await auth.restore()
        assert observer.kinds == [(auth.current_user, None, None)]


async def test_replay_before_a_restore_that_finds_an_erasure_delivers_the_state_alone() -> None:
    server, observer = FakeServer(), Observer()
    async with core_of(server, account=None, store=await store_with(server.add_user(), "a")) as core:
        auth = controller_of(core, "a")
        auth.observe(observer, replay=True)
        server.script = [ErasedAnonymousIdError("the user was erased")]
        await auth.restore()
    assert observer.kinds == [(None, None, None)]


async def test_replay_during_an_operation_delivers_the_state_before_and_then_the_change() -> None:
    server, observer = FakeServer(), Observer()
    async with core_of(server) as core:
        old = await core.auth.ensure_user()
        release = server.hold()
        change = asyncio.create_task(core.auth.update_user(sex="male"))
        await server.asked()
        core.auth.observe(observer, replay=True)
        await settle()
        assert observer.kinds == [(old, None, None)]
        release.set()
        new = await change
    assert observer.kinds == [(old, None, None), (new, old, None)]


async def test_replay_during_a_delivery_delivers_the_newest_state_once_and_in_order() -> None:
    server, observer = FakeServer(), Observer()
    async with core_of(server) as core:

        async def subscribe(auth: AuthController, update: object) -> None:
            first.close()
            auth.observe(observer, replay=True)

        first = core.observe(then(subscribe))
        user = await core.auth.ensure_user()
        await settle()
        changed = await core.auth.update_user(sex="male")
    assert observer.kinds == [(user, None, None), (changed, user, None)]


# Closing -------------------------------------------------------------------------------------------------------------


async def test_closing_twice_has_no_effect_and_closing_before_the_first_delivery_stops_it() -> None:
    observer = Observer()
    async with core_of(FakeServer()) as core:
        subscription = core.auth.observe(observer, replay=True)
        assert subscription.is_open
        subscription.close()
        subscription.close()
        assert not subscription.is_open
        await core.auth.ensure_user()
    assert observer.updates == []


async def test_a_subscription_that_is_closed_during_a_delivery_gets_no_update_any_more() -> None:
    observer = Observer()
    async with core_of(FakeServer()) as core:
        subscriptions: list[Subscription] = []
        core.observe(lambda _, **__: subscriptions[0].close())
        subscriptions.append(core.auth.observe(observer))
        await core.auth.ensure_user()
    assert observer.updates == []


async def test_a_subscription_made_during_a_delivery_gets_updates_from_the_next_one_on() -> None:
    observer = Observer()
    async with core_of(FakeServer()) as core:
        core.observe(lambda _, **__: core.auth.observe(observer) if not observer.updates else None)
        user = await core.auth.ensure_user()
        assert observer.updates == []
        changed = await core.auth.update_user(sex="male")
    assert observer.kinds[0] == (changed, user, None)


async def test_a_queued_update_is_not_delivered_to_a_subscription_made_after_its_commit() -> None:
    release, observer, replayed = asyncio.Event(), Observer(), Observer()
    async with core_of(FakeServer()) as core:
        core.observe(then(lambda _, __: release.wait()))
        calls = [asyncio.create_task(core.auth.ensure_user())]
        await settle()
        calls.append(asyncio.create_task(core.auth.update_user(sex="male")))
        await settle()
        core.auth.observe(observer)
        core.auth.observe(replayed, replay=True)
        release.set()
        _, user = await asyncio.gather(*calls)
        await settle()
    assert observer.updates == []
    assert replayed.kinds == [(user, None, None)]


async def test_observe_holds_its_receiver_and_one_receiver_may_subscribe_twice() -> None:
    received: list[object] = []
    async with core_of(FakeServer()) as core:
        for _ in range(2):
            core.auth.observe(lambda _, **update: received.append(update))
        gc.collect()
        await core.auth.ensure_user()
    assert len(received) == 2


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
@settings(max_examples=rounds(100, 10_000), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_updates_form_a_chain_under_concurrent_operations(acts: list[str], is_slow: bool) -> None:
    asyncio.run(_chain(acts, is_slow=is_slow))


async def _chain(acts: list[str], *, is_slow: bool) -> None:
    server, observer, others = FakeServer(), Observer(), Observer()
    core = core_of(server)
    core.observe(observer)
    if is_slow:
        core.observe(then(lambda _, __: settle(3)))
    core.auth.observe(others)
    async with core:
        outcomes = await asyncio.gather(*(ACTS[act](core, server) for act in acts), return_exceptions=True)
        assert all(isinstance(outcome, MimiError) for outcome in outcomes if isinstance(outcome, BaseException))
        last: MimiUser | None = core.auth.current_user
    observer.assert_chained()
    assert others.updates == observer.updates
    assert (observer.updates[-1].current if observer.updates else None) == last
    for update in observer.updates:
        is_repeat = update.current is not None and not {"log out", "log in"}.isdisjoint(acts)
        assert is_repeat or update.error is not None or update.current != update.old
