"""How receivers may misbehave, and whom they can't hurt. Who is told what is told in test_observe."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any

import pytest

from mimi_async import (
    MimiCore,
    Subscription,
)

from ..doubles import Failures, FakeServer, News, be_quick, core_of, then


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
    failures, news, receiver = Failures(core), News(), then(act)
    core.observe(receiver)
    core.observe(news)
    user = await core.auth.ensure_user()
    assert news.kinds == [(user, None, None)]
    assert [told for told, _ in failures.told] == [receiver]
    assert failures.kinds == [MISBEHAVIOUR[act]]
    assert [record.levelno for record in caplog.records if "observer" in record.message] == [logging.WARNING]
    failures.told.clear()
    changed = await core.auth.update_user(sex="male")
    assert news.kinds[1:] == [(changed, user, None)], "it stays subscribed"
    assert failures.kinds == [MISBEHAVIOUR[act]]


async def test_a_plain_function_that_raises_hurts_nobody_either(core: MimiCore) -> None:
    def broken(sender: object, **update: object) -> None:
        raise KeyError

    failures, news = Failures(core), News()
    core.auth.observe(broken)
    core.user_updated.connect(broken)
    core.observe(news)
    await core.auth.ensure_user()
    assert len(news.told) == 1
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


async def test_a_receiver_of_failures_that_fails_itself_hurts_nobody(core: MimiCore) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError

    async def asynchronous(*_: object, **__: object) -> None:
        raise AssertionError

    core.observer_failed.connect(broken)
    core.observer_failed.connect(asynchronous)
    core.observe(broken)
    assert await core.auth.ensure_user()


async def test_a_receiver_that_outlives_its_cancellation_is_disconnected_and_delivery_goes_on(core: MimiCore) -> None:
    release, news, failures = asyncio.Event(), News(), Failures(core)

    async def stubborn(*_: object, **__: object) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    core.user_updated.connect(stubborn)
    core.observe(stubborn)
    subscription = core.auth.observe(stubborn)
    core.observe(news)
    core._shared.patience = 0.5
    user = await core.auth.ensure_user()
    assert news.kinds == [(user, None, None)]
    assert failures.told[0][0] == stubborn
    assert not subscription.is_open
    assert not core.user_updated.receivers
    release.set()
    changed = await core.auth.update_user(sex="male")
    assert news.kinds[1:] == [(changed, user, None)]
    assert failures.kinds == [TimeoutError], "reported once, and not told again"


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
    failures = Failures(core)
    await core.auth.ensure_user()
    assert done == ["task", "plan", "coroutine"]
    assert failures.kinds == [TimeoutError], "a future that nobody resolves is no success"


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
    core._announcer.patience = 30
    core.observe(receiver)
    await core.auth.ensure_user()
    assert done == ["timeout", "cancelled"]
    assert not failures.told


async def test_a_receiver_whose_own_timeout_is_longer_than_ours_is_timed_out_all_the_same(core: MimiCore) -> None:
    async def receiver(*_: object, **__: object) -> None:
        async with asyncio.timeout(60):
            await asyncio.Event().wait()

    failures, news = Failures(core), News()
    core.observe(receiver)
    core.observe(news)
    await core.auth.ensure_user()
    assert failures.kinds == [TimeoutError]
    assert len(news.told) == 1


async def test_a_receiver_may_unsubscribe_itself(core: MimiCore) -> None:
    subscriptions, told = list[Subscription](), list[object]()

    def once(sender: object, **update: object) -> None:
        told.append(update)
        subscriptions[0].close()

    subscriptions.append(core.observe(once))
    await core.auth.ensure_user()
    await core.auth.update_user(sex="male")
    assert len(told) == 1
