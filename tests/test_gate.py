import asyncio

import pytest

from mimi_async import NotStartedError, ServerUnreachableError, ViewsClosedError
from mimi_async.gate import Gate

from .doubles import settle

DOWN = ServerUnreachableError("the server is down")


async def waiting(gate: Gate, count: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(gate.passed()) for _ in range(count)]
    await settle()
    return tasks


async def test_keeps_everybody_waiting_while_it_is_undecided() -> None:
    gate = Gate()
    tasks = await waiting(gate, 3)
    assert not gate.is_decided
    assert not any(task.done() for task in tasks)
    gate.open()
    await asyncio.gather(*tasks)


async def test_lets_pass_at_once_when_it_is_open() -> None:
    gate = Gate()
    gate.open()
    await gate.passed()


async def test_turns_away_with_the_cause_when_it_is_shut() -> None:
    gate = Gate()
    gate.shut(DOWN)
    with pytest.raises(ViewsClosedError, match="the server is down") as caught:
        await gate.passed()
    assert isinstance(caught.value.__cause__, ServerUnreachableError)


async def test_gives_each_waiter_an_exception_and_a_cause_of_its_own() -> None:
    gate = Gate()
    tasks = await waiting(gate, 100)
    gate.shut(DOWN)
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(error) for error in errors} == {ViewsClosedError}
    assert len({id(error) for error in errors}) == 100
    assert len({id(error.__cause__) for error in errors if isinstance(error, ViewsClosedError)} | {id(DOWN)}) == 101


async def test_a_cancelled_waiter_hurts_no_other() -> None:
    gate = Gate()
    tasks = await waiting(gate, 3)
    tasks[1].cancel()
    await settle()
    assert [task.done() for task in tasks] == [False, True, False]
    gate.open()
    await asyncio.gather(tasks[0], tasks[2])


async def test_a_waiter_that_is_cancelled_while_it_opens_is_cancelled() -> None:
    gate = Gate()
    [task] = await waiting(gate, 1)
    gate.open()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_opens_again_after_it_was_shut_and_shuts_again() -> None:
    gate = Gate()
    gate.shut(DOWN)
    gate.open()
    await gate.passed()
    assert gate.cause is None
    gate.shut(NotStartedError("left"))
    with pytest.raises(ViewsClosedError, match="left"):
        await gate.passed()


async def test_who_was_woken_meets_the_gate_as_it_is_by_then() -> None:
    gate = Gate()
    [task] = await waiting(gate, 1)
    gate.open()
    gate.shut(DOWN)
    with pytest.raises(ViewsClosedError):
        await task


async def test_keeps_nobody_who_has_gone() -> None:
    gate = Gate()
    tasks = await waiting(gate, 3)
    for task in tasks:
        task.cancel()
    await settle()
    assert not gate._waiters


async def test_keeps_no_frame_of_whoever_shut_it() -> None:
    gate = Gate()
    try:
        raise DOWN.again()
    except ServerUnreachableError as error:
        gate.shut(error)
    assert gate.cause is not None
    assert gate.cause.__traceback__ is None
