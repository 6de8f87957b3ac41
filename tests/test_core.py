import asyncio
import gc
import multiprocessing
import weakref
from typing import Any

import pytest

from mimi_async import (
    AuthController,
    ConfigurationError,
    InvalidInputError,
    MimiCore,
    MimiError,
    NotStartedError,
    ServerUnreachableError,
    UnserviceableError,
    ViewsClosedError,
)
from mimi_async.stores import MemoryStore

from .doubles import FakeServer, News, core_of, problem, settle, store_with, whose

DOWN = ServerUnreachableError("down")


# One life ------------------------------------------------------------------------------------------------------------


async def test_every_call_before_the_start_is_refused() -> None:
    core = core_of(FakeServer())
    with pytest.raises(NotStartedError, match="not entered yet"):
        await core.auth.ensure_user()
    with pytest.raises(NotStartedError):
        await core.auth_for("a-17")


async def test_every_call_after_leaving_is_refused_even_where_the_user_is_known() -> None:
    core = core_of(FakeServer())
    async with core:
        await core.auth.ensure_user()
    for call in (core.auth.ensure_user, core.auth.reload_user, core.auth.log_out, core.auth.reset):
        with pytest.raises(NotStartedError, match="was left"):
            await call()
    with pytest.raises(NotStartedError):
        await core.auth_for("a-17")
    with pytest.raises(NotStartedError):
        core.auth.observe(News(), replay=True)
    assert not core._announcer._of_sender, "a refused subscription is none"


async def test_entering_twice_is_refused_and_the_running_core_goes_on() -> None:
    async with core_of(FakeServer()) as core:
        with pytest.raises(ConfigurationError, match="one life"):
            await core.__aenter__()
        await core.auth.ensure_user()
    with pytest.raises(ConfigurationError, match="one life"):
        await core.__aenter__()


async def test_another_event_loop_is_refused() -> None:
    async with core_of(FakeServer()) as core:
        await core.auth.ensure_user()
        with pytest.raises(ConfigurationError, match="another event loop"):
            await asyncio.to_thread(lambda: asyncio.run(core.auth.ensure_user()))
        await core.auth.reload_user()


async def test_a_forked_child_is_refused() -> None:
    async with core_of(FakeServer()) as core:
        await core.auth.ensure_user()
        forked = multiprocessing.get_context("fork").Process(target=_assert_refused, args=(core,))
        forked.start()
        forked.join(30)
        assert forked.exitcode == 0


def _assert_refused(core: MimiCore) -> None:
    with pytest.raises(ConfigurationError, match="for each process"):
        asyncio.run(core.auth.ensure_user())


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"store": None}, "MemoryStore"),
        ({"on_restore_failure": "ignore"}, "keep_trying"),
        ({"keep": -1}, "whole number"),
        ({"send": None}, "name the identity server"),
        ({"server": "https://identity.example"}, "either send"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_with_a_remedy(settings: dict[str, Any], remedy: str) -> None:
    with pytest.raises(ConfigurationError, match=remedy):
        core_of(FakeServer(), **settings)


# Accounts ------------------------------------------------------------------------------------------------------------


async def test_a_service_has_no_account_of_its_own_and_restores_nothing_at_the_start() -> None:
    server = FakeServer()
    async with core_of(server, store=await store_with(server.add_user()), account=None) as core:
        assert server.requests == []
        with pytest.raises(ConfigurationError, match="auth_for"):
            _ = core.auth
        with pytest.raises(ConfigurationError, match="auth_for"):
            await core.present(whose)


async def test_an_account_is_restored_once_for_all_who_ask_at_the_same_time() -> None:
    server = FakeServer()
    async with core_of(server, store=await store_with(server.add_user(), "a-17"), account=None) as core:
        controllers = await asyncio.gather(*(core.auth_for("a-17") for _ in range(100)))
        assert len(set(controllers)) == 1
        assert server.requests == ["POST /v1/sessions"]


async def test_the_own_account_has_one_controller_by_either_name() -> None:
    async with core_of(FakeServer(), account="acme") as core:
        assert await core.auth_for("acme") is core.auth


@pytest.mark.parametrize("account", ["", "a" * 201, "a\n", "\ud800", 17, None])
async def test_an_account_that_no_store_could_keep_is_refused(account: Any) -> None:
    async with core_of(FakeServer(), account=None) as core:
        with pytest.raises(InvalidInputError):
            await core.auth_for(account)


async def test_the_cause_of_a_failed_restore_reaches_auth_for_itself() -> None:
    server = FakeServer()
    async with core_of(server, store=await store_with(server.add_user(), "a-17"), account=None) as core:
        server.failure = DOWN
        with pytest.raises(ServerUnreachableError):
            await core.auth_for("a-17")


async def test_the_least_recently_used_controllers_are_dropped_first() -> None:
    async with core_of(FakeServer(), account=None, keep=2) as core:
        alive = {name: weakref.ref(await core.auth_for(name)) for name in ("a", "b")}
        await core.present(whose, account="a")
        alive["c"] = weakref.ref(await core.auth_for("c"))
        gc.collect()
        assert {name: ref() is not None for name, ref in alive.items()} == {"a": True, "b": False, "c": True}


async def test_a_controller_that_somebody_holds_is_never_doubled() -> None:
    async with core_of(FakeServer(), account=None, keep=0) as core:
        held = await core.auth_for("a")
        await core.auth_for("b")
        gc.collect()
        assert await core.auth_for("a") is held


async def test_a_controller_that_nobody_holds_is_dropped_even_after_a_failure() -> None:
    server = FakeServer()
    async with core_of(server, store=await store_with(server.add_user(), "a"), account=None, keep=0) as core:
        server.failure = DOWN
        with pytest.raises(ServerUnreachableError):
            await core.auth_for("a")
        await settle()
        gc.collect()
        assert not core._controllers._held


async def test_a_controller_with_an_open_subscription_is_never_dropped() -> None:
    async with core_of(FakeServer(), account=None, keep=0) as core:
        news = News()
        subscription = (await core.auth_for("a")).observe(news)
        updates = (await core.auth_for("b")).updates()
        gc.collect()
        assert set(core._controllers._held) == {"a", "b"}
        await (await core.auth_for("a")).ensure_user()
        assert len(news.told) == 1
        subscription.close()
        updates.close()
        del subscription, updates
        gc.collect()
        assert not core._controllers._held


async def test_a_controller_with_a_turn_under_way_is_never_dropped() -> None:
    server = FakeServer()
    async with core_of(server, account=None, keep=0) as core:
        auth = await core.auth_for("a")
        release = server.hold()
        caller = asyncio.create_task(auth.ensure_user())
        await server.asked()
        caller.cancel()
        seen = weakref.ref(auth)
        del auth, caller
        await settle()
        gc.collect()
        assert seen() is not None
        assert seen() is core._controllers.of("a")
        release.set()
        await settle()
        assert (await core.auth_for("a")).current_user is not None
        assert len(server.users) == 1


# Unserviceable -------------------------------------------------------------------------------------------------------


async def test_an_unserviceable_sdk_is_told_once_and_shuts_every_gate_for_good() -> None:
    server, told = FakeServer(), list[tuple[object, MimiError]]()

    def blocked(sender: object, *, error: MimiError) -> None:
        told.append((sender, error))

    async with core_of(server) as core:
        core.unserviceable.connect(blocked)
        other = await core.auth_for("a")
        await core.auth.ensure_user()
        server.script = [problem(426, "unserviceable")]
        with pytest.raises(UnserviceableError, match="update it"):
            await core.auth.reload_user()
        await settle()
        assert [(sender, type(error)) for sender, error in told] == [(core, UnserviceableError)]
        asked = len(server.requests)
        for account in (None, "a", "new"):
            with pytest.raises(ViewsClosedError) as caught:
                await core.present(whose, account=account)
            assert isinstance(caught.value.__cause__, UnserviceableError)
        for call in (core.auth.ensure_user, core.auth.reload_user, other.ensure_user):
            with pytest.raises(UnserviceableError):
                await call()
        assert len(server.requests) == asked
        assert len(told) == 1


async def test_calls_that_waited_when_the_sdk_became_unserviceable_ask_nothing_any_more() -> None:
    server = FakeServer()
    async with core_of(server) as core:
        await core.auth.ensure_user()
        server.script = [problem(426, "unserviceable")]
        server.requests.clear()
        outcomes = await asyncio.gather(*(core.auth.reload_user() for _ in range(10)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {UnserviceableError}
        assert len({id(outcome) for outcome in outcomes}) == 10
        assert server.requests == ["GET /v1/user"]


# Views ---------------------------------------------------------------------------------------------------------------


async def test_a_view_is_run_with_its_controller_and_gives_back_what_it_returns() -> None:
    server = FakeServer()
    store = await store_with(server.add_user(), "a-17")
    async with core_of(server, store=store) as core:
        user = await core.present(whose, account="a-17")
        assert user is not None
        assert user.anonymous_id in server.users
        assert await core.present(whose) is None


async def test_a_decorated_function_is_presented_at_each_call_with_its_arguments() -> None:
    async with core_of(FakeServer()) as core:

        @core.view
        async def dashboard(auth: AuthController, page: int) -> str:
            return f"{auth.account} {page}"

        @core.view(account="a-17")
        async def other(auth: AuthController, *, page: int) -> str:
            return f"{auth.account} {page}"

        assert [await dashboard(2), await other(page=3)] == ["default 2", "a-17 3"]
        assert dashboard.__name__ == "dashboard"
    with pytest.raises(ViewsClosedError):
        await dashboard(2)


async def test_what_a_view_raises_is_the_presenters_and_shuts_nothing() -> None:
    async def broken(auth: AuthController) -> None:
        raise ZeroDivisionError

    async with core_of(FakeServer()) as core:
        with pytest.raises(ZeroDivisionError):
            await core.present(broken)
        assert await core.present(whose) is None


async def test_one_store_may_serve_two_cores() -> None:
    server, store = FakeServer(), MemoryStore()
    async with core_of(server, store=store) as one, core_of(server, store=store) as two:
        first = await one.auth.ensure_user()
        assert await two.auth.ensure_user() == first
        assert len(server.users) == 1
