"""The failures of receivers, which affect neither the next receiver nor the caller."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any

import pytest

from mimi_async import MimiCore, Subscription

from ..doubles import Failures, FakeServer, Observer, be_quick, core_of, set_timeouts, then


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
async def core(server: FakeServer) -> AsyncIterator[MimiCore]:
    async with be_quick(core_of(server)) as core:
        yield core


# Receivers that fail -------------------------------------------------------------------------------------------------


async def cancels_itself(*_: object) -> None:
    raise asyncio.CancelledError


async def cancels_its_task(*_: object) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def cancels_its_task_and_waits(*_: object) -> None:
    await cancels_its_task()
    await asyncio.sleep(0)


async def raises_later(*_: object) -> None:
    await asyncio.sleep(0)
    raise ZeroDivisionError


async def hangs(*_: object) -> None:
    await asyncio.Event().wait()


async def returns_late(*_: object) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return


async def blocks(*_: object) -> None:
    time.sleep(0.1)  # noqa: ASYNC251 - that is what it is to block


MISBEHAVIOUR: dict[Callable[..., Awaitable[None]], type[BaseException]] = {
    cancels_itself: asyncio.CancelledError,
    cancels_its_task: asyncio.CancelledError,
    cancels_its_task_and_waits: asyncio.CancelledError,
    raises_later: ZeroDivisionError,
    hangs: TimeoutError,
    returns_late: TimeoutError,
    blocks: TimeoutError,
}


@pytest.mark.parametrize("act", MISBEHAVIOUR, ids=lambda act: act.__name__)
async def test_a_receiver_that_fails_is_reported_once_and_the_next_and_the_caller_go_on(
    act: Callable[..., Awaitable[None]], core: MimiCore, caplog: pytest.LogCaptureFixture
) -> None:
    failures, observer, receiver = Failures(core), Observer(), then(act)
    set_timeouts(core, receiver_cancel=30.0)  # each of them ends when it is cancelled, however slow the machine is
    core.observe(receiver)
    core.observe(observer)
    user = await core.auth.ensure_user()
    assert observer.kinds == [(user, None, None)]
    assert [reported for reported, _ in failures.reported] == [receiver]
    assert failures.kinds == [MISBEHAVIOUR[act]]
    assert [record.levelno for record in caplog.records if "observer" in record.message] == [logging.WARNING]
    failures.reported.clear()
    changed = await core.auth.update_user(sex="male")
    assert observer.kinds[1:] == [(changed, user, None)], "it stays subscribed"
    assert failures.kinds == [MISBEHAVIOUR[act]]


async def test_the_cancellation_of_a_receiver_does_not_reach_the_next_one(core: MimiCore) -> None:
    requests = []

    async def next_one(*_: object, **__: object) -> None:
        task = asyncio.current_task()
        assert task is not None
        requests.append(task.cancelling())

    core.observe(then(cancels_its_task))
    core.observe(next_one)
    await core.auth.ensure_user()
    assert requests == [0]


async def test_a_plain_function_that_raises_does_not_stop_the_delivery(core: MimiCore) -> None:
    def broken(sender: object, **update: object) -> None:
        raise KeyError

    failures, observer = Failures(core), Observer()
    core.auth.observe(broken)
    core.user_updated.connect(broken)
    core.observe(observer)
    await core.auth.ensure_user()
    assert len(observer.updates) == 1
    assert failures.kinds == [KeyError, KeyError]


async def test_a_failure_is_logged_without_its_text_which_may_quote_a_secret(
    core: MimiCore, caplog: pytest.LogCaptureFixture
) -> None:
    def leaky(sender: object, *, current: Any, **update: object) -> None:
        raise ValueError(current.anonymous_id.reveal())

    core.observe(leaky)
    user = await core.auth.ensure_user()
    assert "ValueError in leaky" in caplog.text
    assert user.anonymous_id.reveal() not in caplog.text


async def test_a_receiver_of_failures_that_fails_does_not_fail_the_caller(core: MimiCore) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError

    async def asynchronous(*_: object, **__: object) -> None:
        raise AssertionError

    core.observer_failed.connect(broken)
    core.observer_failed.connect(asynchronous)
    core.observe(broken)
    assert await core.auth.ensure_user()


async def test_a_receiver_that_outlives_its_cancellation_is_disconnected_and_delivery_goes_on(core: MimiCore) -> None:
    release, observer, failures = asyncio.Event(), Observer(), Failures(core)

    async def stubborn(*_: object, **__: object) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    core.user_updated.connect(stubborn)
    core.observe(stubborn)
    subscription = core.auth.observe(stubborn)
    core.observe(observer)
    set_timeouts(core, call=0.5)
    try:
        user = await core.auth.ensure_user()
        assert observer.kinds == [(user, None, None)]
        assert failures.reported[0][0] == stubborn
        assert not subscription.is_open
        assert not core.user_updated.receivers
    finally:
        release.set()
    changed = await core.auth.update_user(sex="male")
    assert observer.kinds[1:] == [(changed, user, None)]
    assert failures.kinds == [TimeoutError], "reported once"


# Receivers of every kind ---------------------------------------------------------------------------------------------


class Plan:
    """An awaitable that is no coroutine."""

    def __init__(self, done: list[str]) -> None:
        self.done = done

    def __await__(self) -> Generator[Any, Any, None]:
        yield from asyncio.sleep(0).__await__()
        self.done.append("plan")


async def test_whatever_can_be_awaited_is_awaited(core: MimiCore) -> None:
    done: list[str] = []

    async def later(name: str) -> None:
        await asyncio.sleep(0)
        done.append(name)

    core.observe(lambda *_, **__: asyncio.ensure_future(later("task")))
    core.observe(lambda *_, **__: Plan(done))
    core.observe(lambda *_, **__: later("coroutine"))
    core.observe(lambda *_, **__: asyncio.get_running_loop().create_future())
    failures = Failures(set_timeouts(core, receiver=0.5))  # much longer than the receivers that end take
    await core.auth.ensure_user()
    assert done == ["task", "plan", "coroutine"]
    assert failures.kinds == [TimeoutError], "a future without a result is not a success"


async def test_a_receiver_may_use_timeouts_groups_and_waits_as_in_any_task(core: MimiCore) -> None:
    done: list[str] = []

    async def receiver(*_: object, **__: object) -> None:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            done.append("timeout")
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0))])
        inner = asyncio.ensure_future(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(inner.cancel)
        try:
            await inner
        except asyncio.CancelledError:
            done.append("cancelled")

    failures = Failures(core)
    set_timeouts(core, receiver=30)
    core.observe(receiver)
    await core.auth.ensure_user()
    assert done == ["timeout", "cancelled"]
    assert not failures.reported


async def test_a_receiver_whose_own_timeout_is_longer_than_ours_is_timed_out_all_the_same(core: MimiCore) -> None:
    async def receiver(*_: object, **__: object) -> None:
        async with asyncio.timeout(60):
            await asyncio.Event().wait()

    failures, observer = Failures(core), Observer()
    core.observe(receiver)
    core.observe(observer)
    await core.auth.ensure_user()
    assert failures.kinds == [TimeoutError]
    assert len(observer.updates) == 1


async def test_a_receiver_may_unsubscribe_itself(core: MimiCore) -> None:
    subscriptions, received = list[Subscription](), list[object]()

    def once(sender: object, **update: object) -> None:
        received.append(update)
        subscriptions[0].close()

    subscriptions.append(core.observe(once))
    await core.auth.ensure_user()
    await core.auth.update_user(sex="male")
    assert len(received) == 1
