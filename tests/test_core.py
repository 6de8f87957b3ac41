import asyncio
import gc
import multiprocessing
import weakref
from collections.abc import Awaitable, Callable

import pytest

from mimi_async import (
    AuthController,
    ConfigurationError,
    MimiCore,
    MimiError,
    NotStartedError,
    ServerUnreachableError,
    UnserviceableError,
    ViewsClosedError,
)
from mimi_async.stores import MemoryStore

from .doubles import FakeServer, Observer, core_of, problem, settle, store_with, whose

DOWN = ServerUnreachableError("down")


# One life ------------------------------------------------------------------------------------------------------------


async def test_calls_after_leaving_are_refused_even_where_the_user_is_known() -> None:
    core = core_of(FakeServer())
    async with core:
        await core.auth.ensure_user()
    for call in (core.auth.ensure_user, core.auth.reload_user, core.auth.log_out, core.auth.reset):
        with pytest.raises(NotStartedError, match="was left"):
            await call()
    with pytest.raises(NotStartedError):
        await core.auth_for("a-17")
    observer = Observer()
    receiver = weakref.ref(observer)
    with pytest.raises(NotStartedError):
        core.auth.observe(observer, replay=True)
    del observer
    gc.collect()
    assert receiver() is None, "a refused subscription is none"


async def test_a_forked_child_is_refused() -> None:
    async with core_of(FakeServer()) as core:
        await core.auth.ensure_user()
        forked = multiprocessing.get_context("fork").Process(target=_assert_refused, args=(core,))
        forked.start()
        forked.join(30)
        assert forked.exitcode == 0


def _assert_refused(core: MimiCore) -> None:
    for call in (core.auth.ensure_user, lambda: core.present(whose), lambda: core.auth_for("a-17")):
        with pytest.raises(ConfigurationError, match="in each process"):
            asyncio.run(_awaited(call))


async def _awaited(call: Callable[[], Awaitable[object]]) -> None:
    await call()


# Accounts ------------------------------------------------------------------------------------------------------------


async def test_a_service_has_no_account_of_its_own_and_restores_nothing_at_the_start() -> None:
    server = FakeServer()
    async with core_of(server, store=await store_with(server.add_user()), account=None) as core:
        assert server.requests == []
        with pytest.raises(ConfigurationError, match="auth_for"):
            _ = core.auth
        with pytest.raises(ConfigurationError, match="auth_for"):
            await core.present(whose)


async def test_an_account_is_restored_once_for_all_concurrent_callers() -> None:
    server = FakeServer()
    async with core_of(server, store=await store_with(server.add_user(), "a-17"), account=None) as core:
        controllers = await asyncio.gather(*(core.auth_for("a-17") for _ in range(100)))
        assert len(set(controllers)) == 1
        assert server.requests == ["POST /v1/sessions"]


async def test_the_own_account_has_one_controller_by_either_name() -> None:
    async with core_of(FakeServer(), account="acme") as core:
        assert await core.auth_for("acme") is core.auth


# Unserviceable -------------------------------------------------------------------------------------------------------


async def test_an_unserviceable_sdk_is_signalled_once_and_shuts_every_gate_permanently() -> None:
    server, received = FakeServer(), list[tuple[object, MimiError]]()

    def blocked(sender: object, *, error: MimiError) -> None:
        received.append((sender, error))

    async with core_of(server) as core:
        core.unserviceable.connect(blocked)
        other = await core.auth_for("a")
        await core.auth.ensure_user()
        server.script = [problem(426, "unserviceable")]
        with pytest.raises(UnserviceableError, match="update it"):
            await core.auth.reload_user()
        await settle()
        assert [(sender, type(error)) for sender, error in received] == [(core, UnserviceableError)]
        asked = len(server.requests)
        for account in (None, "a", "new"):
            with pytest.raises(ViewsClosedError) as caught:
                await core.present(whose, account=account)
            assert isinstance(caught.value.__cause__, UnserviceableError)
        for call in (core.auth.ensure_user, core.auth.reload_user, other.ensure_user):
            with pytest.raises(UnserviceableError):
                await call()
        assert len(server.requests) == asked
        assert len(received) == 1


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
