"""A receiver may call anything of this library: without a deadlock, and in order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from mimi_async import AuthController, ErasedAnonymousIdError, LogInAnonymously, MimiCore, MimiError, UserUpdate

from ..doubles import Failures, FakeServer, Observer, be_quick, core_of, set_timeouts, settle, then, whose


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
    "log_out": lambda auth, _: auth.log_out(discard_id=True),
    "reset": lambda auth, _: auth.reset(),
    "a_task_that_calls": a_task_that_calls,
    "the_gate": lambda auth, _: auth.gate.wait_open(),
}


@pytest.mark.parametrize("name", CALLS)
async def test_a_receiver_may_await_any_call_without_a_deadlock_and_in_order(
    name: str, core: MimiCore, server: FakeServer
) -> None:
    failures, before, after, called = Failures(core), Observer(), Observer(), list[object]()
    set_timeouts(core, receiver=30)

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
    assert not failures.reported
    before.assert_chained()
    assert before.updates == after.updates


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
    observer = Observer()

    async def replace_erased(auth: AuthController, update: UserUpdate) -> None:
        if isinstance(update.error, ErasedAnonymousIdError):
            await auth.ensure_user()

    await core.auth.ensure_user()
    core.observe(then(replace_erased))
    core.observe(observer)
    await core.auth.reset()
    await settle()
    assert [type(update.error) for update in observer.updates] == [ErasedAnonymousIdError, type(None)]
    assert core.auth.current_user == observer.updates[-1].current is not None


async def test_receivers_that_call_from_tasks_of_their_own_again_and_again_leave_no_task(core: MimiCore) -> None:
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


async def test_a_task_that_outlives_the_delivery_waits_for_its_own_update() -> None:
    has_ended, tasks, received = asyncio.Event(), list[asyncio.Task[list[object]]](), list[object]()

    async def change(auth: AuthController) -> list[object]:
        await has_ended.wait()
        await auth.update_user(sex="male")
        return [*received]

    async def start(auth: AuthController, update: UserUpdate) -> None:
        if not tasks:
            tasks.append(asyncio.create_task(change(auth)))
        await settle()
        received.append(update)

    async with core_of(FakeServer()) as core:
        core.observe(then(start))
        await core.auth.ensure_user()
        has_ended.set()
        assert len(await tasks[0]) == 2
