"""The audience of an update, its content and its order."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mimi_async import (
    AlreadyAuthenticatedError,
    Anonymously,
    AuthController,
    ErasedAnonymousIdError,
    ForciblyLoggedOutError,
    InvalidInputError,
    LogInAnonymously,
    MimiCore,
    MimiUser,
    NotAuthenticatedError,
    ServerUnreachableError,
)
from mimi_async.stores import MemoryStore

from ..doubles import HEARING_TEST, FakeServer, Observer, core_of, problem, settle, store_with, then, whose

DOWN = ServerUnreachableError("down")


# One update for each operation that changed the user or failed ------------------------------------------------------


async def test_a_first_log_in_is_delivered_whether_created_restored_or_given() -> None:
    server = FakeServer()
    known = server.add_user()
    routes: list[Callable[[MimiCore], Awaitable[MimiUser]]] = [
        lambda core: core.auth.ensure_user(),
        lambda core: core.auth.authenticate(Anonymously()),
        lambda core: core.auth.authenticate(LogInAnonymously(known)),
    ]
    for become in routes:
        observer = Observer()
        async with core_of(server) as core:
            core.observe(observer)
            user = await become(core)
        assert observer.kinds == [(user, None, None)]
    core, observer = core_of(server, store=await store_with(known)), Observer()
    core.auth.observe(observer)
    async with core:
        assert observer.kinds == [(core.auth.current_user, None, None)]


async def test_changed_data_and_another_id_are_delivered_with_the_user_before() -> None:
    server, observer = FakeServer(), Observer()
    async with core_of(server) as core:
        first = await core.auth.ensure_user()
        core.auth.observe(observer)
        second = await core.auth.update_user(year_of_birth=1980)
        await core.auth.submit_hearing_test(HEARING_TEST)
        third = core.auth.current_user
        fourth = await core.auth.authenticate(LogInAnonymously(server.add_user(7)))
    assert observer.kinds == [(second, first, None), (third, second, None), (fourth, third, None)]


async def test_a_log_out_is_delivered_without_an_error_and_a_reset_with_one() -> None:
    server, observer = FakeServer(), Observer()
    async with core_of(server) as core:
        first = await core.auth.ensure_user()
        core.auth.observe(observer)
        await core.auth.log_out(discard_id=True)
        second = await core.auth.ensure_user()
        await core.auth.reset()
    assert observer.kinds == [(None, first, None), (second, None, None), (None, second, ErasedAnonymousIdError)]


async def test_a_forced_log_out_is_delivered_with_its_error() -> None:
    server, observer = FakeServer(), Observer()
    async with core_of(server) as core:
        user = await core.auth.ensure_user()
        core.auth.observe(observer)
        server.users.clear()
        with pytest.raises(ForciblyLoggedOutError):
            await core.auth.reload_user()
    assert observer.kinds == [(None, user, ForciblyLoggedOutError)]


async def test_a_failed_operation_is_delivered_with_the_user_as_it_was() -> None:
    server, observer = FakeServer(), Observer()
    async with core_of(server) as core:
        core.auth.observe(observer)
        server.script = [DOWN]
        with pytest.raises(ServerUnreachableError):
            await core.auth.ensure_user()
        user = await core.auth.ensure_user()
        server.script = [DOWN, problem(422, "invalid-input")]
        with pytest.raises(ServerUnreachableError):
            await core.auth.reload_user()
        with pytest.raises(InvalidInputError):
            await core.auth.reload_user()
    assert observer.kinds == [
        (None, None, ServerUnreachableError),
        (user, None, None),
        (user, user, ServerUnreachableError),
        (user, user, InvalidInputError),
    ]


async def test_an_operation_that_changed_nothing_or_was_refused_without_a_request_is_not_delivered() -> None:
    server, observer = FakeServer(), Observer()
    async with core_of(server) as core:
        core.auth.observe(observer)
        with pytest.raises(NotAuthenticatedError):
            await core.auth.reload_user()
        await core.auth.log_out()
        user = await core.auth.ensure_user()
        await core.auth.ensure_user()
        await core.auth.reload_user()
        server.forget_tokens()
        await core.auth.reload_user()
        await core.auth.authenticate(LogInAnonymously(user.anonymous_id))
        with pytest.raises(AlreadyAuthenticatedError):
            await core.auth.authenticate(Anonymously())
        with pytest.raises(InvalidInputError):
            await core.auth.update_user(year_of_birth=1066)
    assert observer.kinds == [(user, None, None)]


# Order ---------------------------------------------------------------------------------------------------------------


async def test_receivers_are_called_in_connection_order_over_core_and_controller_and_raw_ones_last() -> None:
    order: list[str] = []

    def named(name: str, *, is_async: bool) -> Callable[..., Any]:
        async def later(sender: object, **update: object) -> None:
            await asyncio.sleep(0)
            order.append(name)

        def now(sender: object, **update: object) -> None:
            order.append(name)

        return later if is_async else now

    async with core_of(FakeServer()) as core:
        raw = named("raw", is_async=True)
        core.user_updated.connect(raw)
        core.auth.observe(named("1", is_async=True))
        core.observe(named("2", is_async=False))
        core.auth.observe(named("3", is_async=False))
        core.observe(named("4", is_async=True))
        core.auth.observe(named("5", is_async=True))
        await core.auth.ensure_user()
    assert order == ["1", "2", "3", "4", "5", "raw"]


async def test_updates_are_delivered_after_the_commit_and_after_the_gate_and_outside_the_lock() -> None:
    server, store, seen = FakeServer(), MemoryStore(), list[object]()

    async def look(auth: AuthController, update: object) -> None:
        seen.append((await store.load("default")) is not None)
        seen.append(auth.current_user is not None)
        seen.append(auth.gate.is_open)
        seen.append((await auth.reload_user()) is not None)  # it needs the lock

    async with core_of(server, store=store) as core:
        core.observe(then(look))
        await core.auth.ensure_user()
    assert seen == [True] * 4


async def test_a_view_may_run_before_the_observers_are_called() -> None:
    server, release = FakeServer(), asyncio.Event()
    core = core_of(server, store=await store_with(server.add_user()))
    core.observe(then(lambda _, __: release.wait()))
    start = asyncio.create_task(core.__aenter__())
    await settle()
    assert core.auth.gate.is_open
    assert await asyncio.create_task(core.present(whose)) is not None
    assert not start.done()
    release.set()
    await start
    await core.__aexit__()


async def test_a_call_returns_after_its_own_update_was_delivered() -> None:
    received: list[object] = []

    async def slow(auth: AuthController, update: object) -> None:
        await settle()
        received.append(update)

    async with core_of(FakeServer()) as core:
        core.observe(then(slow))
        await core.auth.ensure_user()
        assert len(received) == 1


async def test_updates_of_one_account_are_delivered_one_at_a_time_and_of_two_at_the_same_time() -> None:
    running, most = list[AuthController](), list[int]()

    async def slow(auth: AuthController, update: object) -> None:
        running.append(auth)
        most.append(len(running))
        assert len(set(running)) == len(running), "one at a time for each account"
        await settle()
        running.remove(auth)

    async with core_of(FakeServer()) as core:
        other = await core.auth_for("other")
        core.observe(then(slow))
        years = [auth.update_user(year_of_birth=year) for year in (1980, 1981, 1982) for auth in (core.auth, other)]
        await asyncio.gather(core.auth.ensure_user(), other.ensure_user(), *years)
    assert max(most) == 2
    assert len(most) == 8
