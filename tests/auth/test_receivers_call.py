"""A receiver may call anything of ours: nobody waits for himself, and the order is kept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from mimi_async import (
    AuthController,
    ErasedAnonymousIdError,
    LogInAnonymously,
    MimiCore,
    MimiError,
    UserUpdate,
)

from ..doubles import Failures, FakeServer, News, be_quick, core_of, settle, then, whose


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
async def core(server: FakeServer) -> AsyncIterator[MimiCore]:
    async with be_quick(core_of(server)) as core:
        yield core


Act = Callable[[AuthController, UserUpdate], Awaitable[object]]


def a_task_that_calls(auth: AuthController, update: UserUpdate) -> Awaitable[object]:
    return asyncio.create_task(auth.reload_user())


async def log_in_again(auth: AuthController, update: UserUpdate) -> None:
    user = update.current or update.old
    assert user is not None
    await auth.authenticate(LogInAnonymously(user.anonymous_id))


CALLS: dict[str, Act] = {
    "ensure_user": lambda auth, _: auth.ensure_user(),
    "update_user": lambda auth, _: auth.update_user(year_of_birth=1980),
    "reload_user": lambda auth, _: auth.reload_user(),
    "log_in_again": log_in_again,
    "log_out": lambda auth, _: auth.log_out(),
    "reset": lambda auth, _: auth.reset(),
    "a_task_that_calls": a_task_that_calls,
    "the_gate": lambda auth, _: auth.gate.passed(),
}


@pytest.mark.parametrize("name", CALLS)
async def test_a_receiver_may_await_anything_of_ours_without_a_deadlock_and_in_order(
    name: str, core: MimiCore, server: FakeServer
) -> None:
    failures, before, after, called = Failures(core), News(), News(), list[object]()
    core._announcer.patience = 30

    async def call_once(auth: AuthController, update: UserUpdate) -> None:
        if not called:
            called.append(update)
            await CALLS[name](auth, update)
            await core.present(whose)
            await core.auth_for("another")

    core.observe(before)
    core.observe(then(call_once))
    core.observe(after)
    async with asyncio.timeout(10):
        await core.auth.ensure_user()
        await core.auth.log_out()
    assert not failures.told
    before.assert_chained()
    assert before.told == after.told


async def test_a_call_from_a_receiver_returns_at_its_commit_with_its_result(core: MimiCore) -> None:
    seen: list[object] = []

    async def react(auth: AuthController, update: UserUpdate) -> None:
        if update.old is None and update.current is not None:
            seen.append(await auth.update_user(sex="male"))
            assert auth.current_user == seen[0]

    core.observe(then(react))
    await core.auth.ensure_user()
    await settle()
    assert seen == [core.auth.current_user]


async def test_a_receiver_may_become_another_user_after_an_erasure(core: MimiCore) -> None:
    news = News()

    async def replace_erased(auth: AuthController, update: UserUpdate) -> None:
        if isinstance(update.error, ErasedAnonymousIdError):
            await auth.ensure_user()

    await core.auth.ensure_user()
    core.observe(then(replace_erased))
    core.observe(news)
    await core.auth.reset()
    await settle()
    assert [type(update.error) for update in news.told] == [ErasedAnonymousIdError, type(None)]
    assert core.auth.current_user == news.told[-1].current is not None


async def test_receivers_that_call_from_tasks_of_their_own_for_ever_pile_nothing_up(core: MimiCore) -> None:
    """Each call is made from within the delivery of the one before, a thousand times over."""
    left = iter(range(1100))

    async def again(auth: AuthController) -> None:
        await auth.update_user(year_of_birth=1900 + next(left) % 90)

    def react(auth: AuthController, **update: object) -> None:
        running.add(asyncio.create_task(again(auth)))

    running: set[asyncio.Task[None]] = set()
    await core.auth.ensure_user()
    with core.observe(react):
        react(core.auth)
        while not any(task.done() and task.exception() for task in running):
            await settle()
    errors = [task.exception() for task in running if task.done() and task.exception()]
    assert [type(error) for error in errors] == [RuntimeError], "the numbers ran out, and nothing else"
    assert not isinstance(errors[0], RecursionError | MimiError)
