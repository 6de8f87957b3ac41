"""A receiver that blocks the event loop is reported, though it took its update."""

import asyncio
import logging
import time
from typing import Any

import pytest

from mimi_async import ConfigurationError, MimiCore, Timeouts

from ..doubles import Failures, FakeServer, Observer, core_of

LIMIT = 0.01
LONG = 0.02


def block() -> None:
    time.sleep(LONG)


def plain(*_: object, **__: object) -> None:
    block()


async def at_once(*_: object, **__: object) -> None:
    block()


async def in_its_first_step(*_: object, **__: object) -> None:
    block()
    await asyncio.sleep(0)


async def in_a_later_step(*_: object, **__: object) -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    block()


def core_with(server: FakeServer, blocking: float) -> MimiCore:
    return core_of(server, timeouts=Timeouts(blocking=blocking))


BLOCKING: dict[str, Any] = {it.__name__: it for it in (plain, at_once, in_its_first_step, in_a_later_step)}


@pytest.mark.parametrize("name", BLOCKING)
async def test_a_receiver_that_blocks_the_loop_is_reported_and_logged_and_stays(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = BLOCKING[name]
    async with core_with(FakeServer(), LIMIT) as core:
        failures, observer = Failures(core), Observer()
        core.observe(receiver)
        await core.auth.ensure_user()
        core.observe(observer)
        await core.auth.update_user(sex="male")
        assert failures.reported[0][0] is receiver
        assert "asyncio.to_thread" in str(failures.reported[0][1])
        assert [reported for reported, _ in failures.reported].count(receiver) == 2
        assert set(failures.kinds) == {TimeoutError}
        assert len(observer.updates) == 1
        await core.auth.log_out()  # refused with an OnlyCopyError if the update had not reached it
    logged = [record for record in caplog.records if f"{name} (test_blocking.py:" in record.message]
    assert [record.levelno for record in logged] == [logging.WARNING] * 3


async def test_the_time_that_a_receiver_awaits_is_not_counted_as_blocking() -> None:
    """The loop is blocked by another task while the receiver waits: that is not the receiver."""
    async with core_with(FakeServer(), 1.0) as core:
        failures, waits, go_on = Failures(core), asyncio.Event(), asyncio.Event()

        async def receiver(*_: object, **__: object) -> None:
            waits.set()
            await go_on.wait()

        core.observe(receiver)
        call = asyncio.create_task(core.auth.ensure_user())
        await waits.wait()
        time.sleep(1.1)  # noqa: ASYNC251 - the loop is blocked, on purpose
        go_on.set()
        await call
        assert failures.reported == []


async def test_a_receiver_that_blocks_and_raises_is_reported_for_both() -> None:
    def receiver(*_: object, **__: object) -> None:
        block()
        raise ZeroDivisionError

    async with core_with(FakeServer(), LIMIT) as core:
        failures = Failures(core)
        core.observe(receiver)
        await core.auth.ensure_user()
        assert failures.kinds == [TimeoutError, ZeroDivisionError]


# What can't be a receiver ---------------------------------------------------------------------------------------------


def no_sender(*, current: object, old: object, error: object) -> None:
    del current, old, error


def no_error(sender: object, *, current: object, old: object) -> None:
    del sender, current, old


async def generator(sender: object, **update: object) -> Any:
    yield sender, update


@pytest.mark.parametrize(
    ("receiver", "why"),
    [
        (no_sender, r"no_sender \(test_blocking.py:\d+\) can't be called so: too many positional arguments"),
        (no_error, r"no_error \(test_blocking.py:\d+\) can't be called so: got an unexpected keyword argument 'error'"),
        (generator, r"generator \(test_blocking.py:\d+\) is a generator"),
        (Observer, "not the class Observer"),
        (None, "not a NoneType"),
    ],
)
async def test_a_receiver_that_can_not_be_called_is_refused_when_it_is_given(receiver: Any, why: str) -> None:
    core = core_of(FakeServer())
    failures = Failures(core)
    for observe in (core.observe, core.auth.observe):
        with pytest.raises(ConfigurationError, match=why):
            observe(receiver)
    async with core:
        await core.auth.ensure_user()
    assert failures.reported == [], "it is not subscribed"
