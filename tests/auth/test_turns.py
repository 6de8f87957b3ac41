"""Turns: one after another, owned by the core, whatever becomes of the caller."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable

import pytest

from mimi_async import (
    AlreadyAuthenticatedError,
    Anonymously,
    LogInAnonymously,
    MimiCore,
    MimiUser,
    NotAuthenticatedError,
    ServerUnreachableError,
    UnknownAnonymousIdError,
)

from ..doubles import HEARING_TEST, FakeServer, News, an_id, core_of, settle, store_with

DOWN = ServerUnreachableError("down")


# One after another ---------------------------------------------------------------------------------------------------


async def test_a_thousand_concurrent_callers_make_one_user() -> None:
    server = FakeServer()
    async with core_of(server) as core:
        users = await asyncio.gather(*(core.auth.ensure_user() for _ in range(1000)))
        assert len(set(users)) == len(server.users) == 1
        assert server.requests == ["POST /v1/anonymous-users"]


async def test_turns_of_one_controller_are_taken_in_the_order_of_the_calls() -> None:
    server = FakeServer()
    async with core_of(server) as core:
        calls = [core.auth.ensure_user(), *(core.auth.update_user(year_of_birth=year) for year in range(1950, 1960))]
        users: list[MimiUser] = await asyncio.gather(*calls)
    assert [user.year_of_birth for user in users] == [None, *range(1950, 1960)]


async def test_turns_of_two_controllers_do_not_wait_for_one_another() -> None:
    server = FakeServer()
    async with core_of(server) as core:
        other = await core.auth_for("other")
        release = server.hold()
        slow = asyncio.create_task(core.auth.ensure_user())
        await server.asked()
        server._held = None
        await other.ensure_user()
        assert not slow.done()
        release.set()
        await slow


async def test_becoming_anonymous_while_there_is_a_user_orphans_nobody() -> None:
    server = FakeServer()
    async with core_of(server) as core:
        outcomes = await asyncio.gather(
            *(core.auth.authenticate(Anonymously()) for _ in range(10)), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [MimiUser, *[AlreadyAuthenticatedError] * 9]
        assert len(server.users) == 1


USER_CALLS: dict[str, Callable[[MimiCore], Awaitable[object]]] = {
    "update_user": lambda core: core.auth.update_user(sex="male"),
    "reload_user": lambda core: core.auth.reload_user(),
    "submit_hearing_test": lambda core: core.auth.submit_hearing_test(HEARING_TEST),
    "export_data": lambda core: core.auth.export_data(),
    "reset": lambda core: core.auth.reset(),
}


@pytest.mark.parametrize("call", USER_CALLS.values(), ids=USER_CALLS)
async def test_what_needs_a_user_asks_nothing_without_one(call: Callable[[MimiCore], Awaitable[object]]) -> None:
    server = FakeServer()
    async with core_of(server) as core:
        with pytest.raises(NotAuthenticatedError, match="ensure_user"):
            await call(core)
        assert server.requests == []


async def test_a_thousand_callers_with_an_expired_token_log_in_once() -> None:
    server = FakeServer()
    async with core_of(server) as core:
        await core.auth.ensure_user()
        server.forget_tokens()
        server.requests.clear()
        await asyncio.gather(*(core.auth.reload_user() for _ in range(1000)))
    assert server.requests.count("POST /v1/sessions") == 1
    assert len(server.requests) == 1002


# Callers who go away -------------------------------------------------------------------------------------------------


async def test_a_cancelled_caller_leaves_no_half_turn() -> None:
    server, news = FakeServer(), News()
    async with core_of(server) as core:
        core.observe(news)
        release = server.hold()
        caller = asyncio.create_task(core.auth.ensure_user())
        await server.asked()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert server.users == {}
        release.set()
        user = await core.auth.ensure_user()
        assert server.requests == ["POST /v1/anonymous-users"]
        await settle()
    assert news.kinds == [(user, None, None)]


async def test_a_cancelled_restore_goes_on_for_those_who_wait_for_it() -> None:
    server = FakeServer()
    async with core_of(server, store=await store_with(server.add_user(), "a"), account=None) as core:
        release = server.hold()
        callers = [asyncio.create_task(core.auth_for("a")) for _ in range(5)]
        await server.asked()
        callers[0].cancel()
        callers[3].cancel()
        await settle()
        release.set()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        assert [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes] == [
            True,
            False,
            False,
            True,
            False,
        ]
        assert server.requests == ["POST /v1/sessions"]


async def test_one_cancelled_caller_of_many_hurts_no_other() -> None:
    server = FakeServer()
    async with core_of(server) as core:
        release = server.hold()
        callers = [asyncio.create_task(core.auth.ensure_user()) for _ in range(10)]
        await server.asked()
        for caller in callers[::2]:
            caller.cancel()
        release.set()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes[1::2]} == {MimiUser}
        assert len(server.users) == 1


async def test_a_failure_that_nobody_waits_for_is_told_and_never_lost_in_a_future(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server, news = FakeServer(), News()
    async with core_of(server) as core:
        core.observe(news)
        release = server.hold()
        caller = asyncio.create_task(core.auth.ensure_user())
        await server.asked()
        caller.cancel()
        server.failure = DOWN
        release.set()
        await settle()
        gc.collect()
    assert news.kinds == [(None, None, ServerUnreachableError)]
    assert caplog.text == ""


async def test_a_turn_leaves_nothing_behind() -> None:
    async with core_of(FakeServer()) as core:
        await core.auth.ensure_user()
        await settle()
        assert not core._turns._turns
        assert not core._turns._tasks
        assert not core._announcer._last_places
        assert core.auth._lock is None
        assert core.auth._underway == 0


async def test_a_failure_that_is_kept_holds_nothing_of_whoever_called() -> None:
    class Page:
        """Something big of the host's."""

    async def request() -> weakref.ref[Page]:
        page = Page()
        with pytest.raises(ServerUnreachableError):
            await core.auth_for("a")
        return weakref.ref(page)

    server = FakeServer()
    async with core_of(server, store=await store_with(server.add_user(), "a")) as core:
        server.failure = DOWN
        page = await asyncio.create_task(request())
        await settle()
        gc.collect()
        assert page() is None


# Calls that wait for a restore ---------------------------------------------------------------------------------------


async def test_a_call_after_a_restore_that_failed_makes_one_fresh_try_where_that_may_help() -> None:
    server = FakeServer()
    async with core_of(server, store=await store_with(server.add_user(), "a")) as core:
        auth = core._controllers.of("a")
        server.script = [DOWN]
        with pytest.raises(ServerUnreachableError):
            await auth.reload_user()
        users = await asyncio.gather(*(auth.reload_user() for _ in range(5)))
        assert users[0] == auth.current_user
        assert server.requests == ["POST /v1/sessions"] * 2 + ["GET /v1/user"] * 5


async def test_logging_in_with_an_id_needs_no_restore() -> None:
    server = FakeServer()
    async with core_of(server, store=await store_with(an_id(404), "a")) as core:
        auth = core._controllers.of("a")
        with pytest.raises(UnknownAnonymousIdError):
            await auth.ensure_user()
        user = await auth.authenticate(LogInAnonymously(server.add_user()))
        assert auth.current_user == user
        assert auth.gate.is_open


async def test_a_log_in_that_fails_before_any_restore_opens_no_gate() -> None:
    async with core_of(FakeServer(), account=None) as core:
        auth = core._controllers.of("a")
        with pytest.raises(UnknownAnonymousIdError):
            await auth.authenticate(LogInAnonymously(an_id(404)))
        assert not auth.gate.is_open
        assert not auth.is_restored
