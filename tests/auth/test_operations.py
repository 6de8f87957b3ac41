"""Operations: one after another, owned by the core, also after the end of their callers."""

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

from ..doubles import HEARING_TEST, FakeServer, Observer, an_id, core_of, settle, store_with
from ..internals import controller_of, supervisor_of

DOWN = ServerUnreachableError("down")


# One after another ---------------------------------------------------------------------------------------------------


async def test_operations_of_one_controller_run_in_the_order_of_the_calls() -> None:
    server = FakeServer()
    async with core_of(server) as core:
        calls = [core.auth.ensure_user(), *(core.auth.update_user(year_of_birth=year) for year in range(1950, 1960))]
        users: list[MimiUser] = await asyncio.gather(*calls)
    assert [user.year_of_birth for user in users] == [None, *range(1950, 1960)]


async def test_operations_of_two_controllers_do_not_wait_for_each_other() -> None:
    server = FakeServer()
    async with core_of(server) as core:
        other = await core.auth_for("other")
        release = server.hold()
        slow = asyncio.create_task(core.auth.ensure_user())
        await server.asked()
        server.hold().set()
        await other.ensure_user()
        assert not slow.done()
        release.set()
        await slow


async def test_to_become_anonymous_while_there_is_a_user_orphans_no_profile() -> None:
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
    "delete_hearing_test": lambda core: core.auth.delete_hearing_test("a" * 32),
    "hearing_tests": lambda core: anext(aiter(core.auth.hearing_tests())),
    "export_data": lambda core: core.auth.export_data(),
    "reset": lambda core: core.auth.reset(),
}


@pytest.mark.parametrize("call", USER_CALLS.values(), ids=USER_CALLS)
async def test_a_call_that_needs_a_user_asks_and_delivers_nothing_without_one(
    call: Callable[[MimiCore], Awaitable[object]],
) -> None:
    server, observer = FakeServer(), Observer()
    async with core_of(server) as core:
        core.observe(observer)
        with pytest.raises(NotAuthenticatedError, match="ensure_user"):
            await call(core)
    assert server.requests == []
    assert observer.updates == []


# Callers that are cancelled ------------------------------------------------------------------------------------------


async def test_a_cancelled_caller_leaves_no_half_operation() -> None:
    server, observer = FakeServer(), Observer()
    async with core_of(server) as core:
        core.observe(observer)
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
    assert observer.kinds == [(user, None, None)]


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


async def test_a_failure_without_a_waiter_is_delivered_and_never_lost_in_a_future(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server, observer = FakeServer(), Observer()
    async with core_of(server) as core:
        core.observe(observer)
        release = server.hold()
        caller = asyncio.create_task(core.auth.ensure_user())
        await server.asked()
        caller.cancel()
        server.failure = DOWN
        release.set()
        await settle()
        gc.collect()
    assert observer.kinds == [(None, None, ServerUnreachableError)]
    assert caplog.text == ""


async def test_an_operation_leaves_nothing_behind() -> None:
    async with core_of(FakeServer()) as core:
        await core.auth.ensure_user()
        await settle()
        assert supervisor_of(core).is_idle
        assert not core.auth.is_busy


async def test_a_kept_failure_references_no_caller() -> None:
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


# Calls before a restore ---------------------------------------------------------------------------------------


async def test_a_log_in_replaces_a_rejected_record_whose_id_stays_unknown() -> None:
    server = FakeServer()
    async with core_of(server, store=await store_with(an_id(404), "a")) as core:
        auth = controller_of(core, "a")
        with pytest.raises(UnknownAnonymousIdError):
            await auth.ensure_user()
        user = await auth.authenticate(LogInAnonymously(server.add_user()))
        assert auth.current_user == user
        assert auth.gate.is_open


async def test_a_log_in_that_fails_before_any_restore_opens_no_gate() -> None:
    async with core_of(FakeServer(), account=None) as core:
        auth = controller_of(core, "a")
        with pytest.raises(UnknownAnonymousIdError):
            await auth.authenticate(LogInAnonymously(an_id(404)))
        assert not auth.gate.is_open
        assert not auth.is_restored
