import asyncio

import pytest

from mimi_async import NotStartedError, ServerUnreachableError, Timeouts, ViewsClosedError
from mimi_async.entry import Entry
from mimi_async.gate import Gate

from .doubles import settle

DOWN = ServerUnreachableError("the server is down")


def a_gate() -> Gate:
    """A gate of a core that was entered."""
    entry = Entry(Timeouts())
    entry.enter()
    return Gate(entry)


async def waiting(gate: Gate, count: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(gate.wait_open()) for _ in range(count)]
    await settle()
    return tasks


async def test_views_wait_while_it_is_undecided() -> None:
    gate = a_gate()
    tasks = await waiting(gate, 3)
    assert not gate.is_decided
    assert not any(task.done() for task in tasks)
    gate.open()
    await asyncio.gather(*tasks)


async def test_lets_pass_at_once_when_it_is_open() -> None:
    gate = a_gate()
    gate.open()
    await gate.wait_open()


async def test_refuses_with_the_cause_when_it_is_shut() -> None:
    gate = a_gate()
    gate.shut(DOWN)
    with pytest.raises(ViewsClosedError, match="the server is down") as caught:
        await gate.wait_open()
    assert isinstance(caught.value.__cause__, ServerUnreachableError)


async def test_gives_each_waiter_an_exception_and_a_cause_of_its_own() -> None:
    gate = a_gate()
    tasks = await waiting(gate, 100)
    gate.shut(DOWN)
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(error) for error in errors} == {ViewsClosedError}
    assert len({id(error) for error in errors}) == 100
    assert len({id(error.__cause__) for error in errors if isinstance(error, ViewsClosedError)} | {id(DOWN)}) == 101


async def test_the_cancellation_of_a_waiter_affects_no_other() -> None:
    gate = a_gate()
    tasks = await waiting(gate, 3)
    tasks[1].cancel()
    await settle()
    assert [task.done() for task in tasks] == [False, True, False]
    gate.open()
    await asyncio.gather(tasks[0], tasks[2])


async def test_a_waiter_that_is_cancelled_while_it_opens_is_cancelled() -> None:
    gate = a_gate()
    [task] = await waiting(gate, 1)
    gate.open()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_opens_again_after_it_was_shut_and_shuts_again() -> None:
    gate = a_gate()
    gate.shut(DOWN)
    gate.open()
    await gate.wait_open()
    assert gate.cause is None
    gate.shut(NotStartedError("left"))
    with pytest.raises(ViewsClosedError, match="left"):
        await gate.wait_open()


async def test_a_waiter_that_wakes_sees_the_gate_as_it_is_by_then() -> None:
    gate = a_gate()
    [task] = await waiting(gate, 1)
    gate.open()
    gate.shut(DOWN)
    with pytest.raises(ViewsClosedError):
        await task


async def test_keeps_no_frame_of_the_code_that_shut_it() -> None:
    gate = a_gate()
    try:
        raise DOWN.copy()
    except ServerUnreachableError as error:
        gate.shut(error)
    assert gate.cause is not None
    assert gate.cause.__traceback__ is None
