"""Turns: one after another, owned by the core, whatever becomes of the caller."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mimi_async import (
    AlreadyAuthenticatedError,
    AnonymousId,
    Anonymously,
    ConfigurationError,
    MimiCore,
    MimiError,
    MimiUser,
    NotAuthenticatedError,
    ServerUnreachableError,
)
from mimi_async.stores import MemoryStore, StoredIdentity
from mimi_async.wire import Reply, Request

from ..doubles import HEARING_TEST, FakeServer, News, core_of, settle, store_with

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


# Calls from within ---------------------------------------------------------------------------------------------------

CALLS: dict[str, Callable[[MimiCore], Awaitable[object]]] = {
    **USER_CALLS,
    "ensure_user": lambda core: core.auth.ensure_user(),
    "authenticate": lambda core: core.auth.authenticate(Anonymously()),
    "log_out": lambda core: core.auth.log_out(),
    "start_over": lambda core: core.auth.start_over(),
    "restore": lambda core: core.auth.restore(),
    "a_task": lambda core: asyncio.create_task(core.auth.reload_user()),
    "nested": lambda core: core.auth_for("nested"),
}


class MeddlingStore(MemoryStore):
    meddle: Callable[[], Awaitable[object]] | None = None

    async def load(self, account: str) -> StoredIdentity | None:
        if self.meddle is not None:
            await self.meddle()
        return await super().load(account)


@pytest.mark.parametrize("place", ["known_id", "store", "send"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_call_from_within_known_id_store_or_send_is_refused_at_once(
    place: str, call: Callable[[MimiCore], Awaitable[object]]
) -> None:
    server, store, errors = FakeServer(), MeddlingStore(), list[BaseException]()

    async def meddle() -> None:
        if is_meddling:
            try:
                await call(core)
            except MimiError as error:
                errors.append(error)

    async def known_id(account: str) -> AnonymousId | None:
        await (core.auth.ensure_user() if account == "nested" else meddle())
        return None

    async def send(request: Request) -> Reply:
        if place == "send":
            await meddle()
        return await server.send(request)

    store.meddle = meddle if place == "store" else None
    is_meddling = False
    core = core_of(
        server, store=store, known_id=known_id if place == "known_id" or call is CALLS["nested"] else None, send=send
    )
    async with asyncio.timeout(10), core:
        is_meddling = True
        await core.auth.ensure_user()
        is_meddling = False
        await core.auth.ensure_user()
    assert [type(error) for error in errors][:1] == [ConfigurationError]
    assert "wait for itself" in str(errors[0])


async def test_another_account_may_be_asked_from_within() -> None:
    async def known_id(account: str) -> AnonymousId | None:
        if account == "default":
            other = await core.auth_for("other")
            return (await other.ensure_user()).anonymous_id
        return None

    core = core_of(FakeServer(), known_id=known_id)
    async with asyncio.timeout(10), core:
        assert core.auth.current_user is not None


async def test_a_task_that_was_started_from_within_may_call_once_the_turn_has_ended() -> None:
    server, tasks, ended = FakeServer(), list[asyncio.Task[Any]](), asyncio.Event()

    async def later() -> MimiUser:
        await ended.wait()
        return await core.auth.reload_user()

    def start_one(_: Request) -> None:
        if not tasks:
            tasks.append(asyncio.create_task(later()))

    server.before = start_one
    async with core_of(server) as core:
        user = await core.auth.ensure_user()
        ended.set()
        assert await tasks[0] == user
