"""Who is told, what, and in which order. How receivers misbehave is told in test_delivery."""

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

from ..doubles import HEARING_TEST, FakeServer, News, core_of, problem, settle, store_with, then, whose

DOWN = ServerUnreachableError("down")


# One announcement for each turn that changed the user or failed ------------------------------------------------------


async def test_a_first_log_in_is_told_whether_created_restored_or_given() -> None:
    server = FakeServer()
    known = server.add_user()
    routes: list[Callable[[MimiCore], Awaitable[MimiUser]]] = [
        lambda core: core.auth.ensure_user(),
        lambda core: core.auth.authenticate(Anonymously()),
        lambda core: core.auth.authenticate(LogInAnonymously(known)),
    ]
    for become in routes:
        news = News()
        async with core_of(server) as core:
            core.observe(news)
            user = await become(core)
        assert news.kinds == [(user, None, None)]
    core, news = core_of(server, store=await store_with(known)), News()
    core.auth.observe(news)
    async with core:
        assert news.kinds == [(core.auth.current_user, None, None)]


async def test_changed_data_and_another_id_are_told_with_the_user_before() -> None:
    server, news = FakeServer(), News()
    async with core_of(server) as core:
        first = await core.auth.ensure_user()
        core.auth.observe(news)
        second = await core.auth.update_user(year_of_birth=1980)
        await core.auth.submit_hearing_test(HEARING_TEST)
        third = core.auth.current_user
        fourth = await core.auth.authenticate(LogInAnonymously(server.add_user(7)))
    assert news.kinds == [(second, first, None), (third, second, None), (fourth, third, None)]


async def test_a_log_out_is_told_without_an_error_and_a_reset_with_one() -> None:
    server, news = FakeServer(), News()
    async with core_of(server) as core:
        first = await core.auth.ensure_user()
        core.auth.observe(news)
        await core.auth.log_out()
        second = await core.auth.ensure_user()
        await core.auth.reset()
    assert news.kinds == [(None, first, None), (second, None, None), (None, second, ErasedAnonymousIdError)]


async def test_a_user_that_is_forced_out_is_told_so() -> None:
    server, news = FakeServer(), News()
    async with core_of(server) as core:
        user = await core.auth.ensure_user()
        core.auth.observe(news)
        server.users.clear()
        with pytest.raises(ForciblyLoggedOutError):
            await core.auth.reload_user()
    assert news.kinds == [(None, user, ForciblyLoggedOutError)]


async def test_a_turn_that_failed_is_told_with_the_user_as_it_was() -> None:
    server, news = FakeServer(), News()
    async with core_of(server) as core:
        core.auth.observe(news)
        server.script = [DOWN]
        with pytest.raises(ServerUnreachableError):
            await core.auth.ensure_user()
        user = await core.auth.ensure_user()
        server.script = [DOWN, problem(422, "invalid-input")]
        with pytest.raises(ServerUnreachableError):
            await core.auth.reload_user()
        with pytest.raises(InvalidInputError):
            await core.auth.reload_user()
    assert news.kinds == [
        (None, None, ServerUnreachableError),
        (user, None, None),
        (user, user, ServerUnreachableError),
        (user, user, InvalidInputError),
    ]


async def test_what_changed_nothing_and_what_was_refused_without_a_request_are_not_told() -> None:
    server, news = FakeServer(), News()
    async with core_of(server) as core:
        core.auth.observe(news)
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
    assert news.kinds == [(user, None, None)]


# Order ---------------------------------------------------------------------------------------------------------------


async def test_receivers_are_told_in_connect_order_over_core_and_controller_and_raw_ones_last() -> None:
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


async def test_updates_are_told_after_the_commit_and_after_the_gate_and_outside_the_lock() -> None:
    server, seen = FakeServer(), list[object]()

    async def look(auth: AuthController, update: object) -> None:
        lock = auth._lock
        seen.append((await core._store.load("default")) is not None)
        seen.append(auth.current_user is not None)
        seen.append(auth.gate.is_open)
        seen.append(lock is None or not lock.locked())

    async with core_of(server) as core:
        core.observe(then(look))
        await core.auth.ensure_user()
    assert seen == [True] * 4


async def test_a_view_may_run_before_the_observers_were_told() -> None:
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


async def test_a_call_returns_after_its_own_announcement_was_delivered() -> None:
    told: list[object] = []

    async def slow(auth: AuthController, update: object) -> None:
        await settle()
        told.append(update)

    async with core_of(FakeServer()) as core:
        core.observe(then(slow))
        await core.auth.ensure_user()
        assert len(told) == 1


async def test_updates_of_one_account_are_told_one_at_a_time_and_of_two_at_the_same_time() -> None:
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
