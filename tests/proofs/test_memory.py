"""Nothing piles up: not over many accounts, not after a core was left."""

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mimi_async import AuthController, MimiCore, MimiError, NotStartedError
from mimi_async.stores import MemoryStore
from mimi_async.testing import IdentityServer

from ..conftest import rounds
from .conftest import Figures

pytestmark = pytest.mark.timeout(rounds(120, 3600))

KEEP = 100
AT_ONCE = 50
BOUND = 200  # asyncio keeps up to a hundred timers that were cancelled
LOOKED_AT = ("mimi_async.", "asyncio.", "_asyncio", "aiohttp.", "tenacity")


def alive() -> Counter[str]:
    """Count what the library and asyncio have left in memory."""
    gc.collect()
    counts: Counter[str] = Counter()
    for kind, count in Counter(map(type, gc.get_objects())).items():
        if str(kind.__module__).startswith(LOOKED_AT) and kind.__module__ != "mimi_async.testing.faults":
            counts[kind.__qualname__] += count
    return counts


async def crowd(
    core: MimiCore, count: int, visit: Callable[[AuthController], Coroutine[Any, Any, None]], *, first: int
) -> None:
    """Let so many new accounts come and go, some at a time."""
    numbers = iter(range(first, first + count))

    async def come_and_go() -> None:
        for number in numbers:
            await visit(await core.auth_for(f"a-{number}"))

    async with asyncio.TaskGroup() as visitors:
        for _ in range(AT_ONCE):
            visitors.create_task(come_and_go())


async def visit(auth: AuthController) -> None:
    """Come, be told, and go."""
    with auth.observe(lambda *_, **__: None, replay=True):
        updates = auth.updates()
        await auth.ensure_user()
        assert (await anext(updates)).current is not None
        updates.close()
        await auth.log_out()


async def test_many_accounts_leave_a_bounded_number_of_everything(
    mimi_server: IdentityServer, figures: Figures
) -> None:
    cycles = rounds(5_000, 20_000)
    told, others = 0, alive()["AuthController"]

    def tell(*_: object, **__: object) -> None:
        nonlocal told
        told += 1

    async with MimiCore(
        mimi_server.credentials, server=mimi_server.url, store=MemoryStore(), account=None, keep=KEEP
    ) as core:
        core.observe(tell)
        await crowd(core, 500, visit, first=0)
        before = alive()
        await crowd(core, cycles, visit, first=500)
        grown = alive() - before
        assert before["AuthController"] - others == KEEP
        assert {kind: count for kind, count in grown.items() if count > BOUND} == {}
        assert asyncio.all_tasks() == {asyncio.current_task()}
    assert told == 2 * (500 + cycles)
    figures.add(cycles=cycles, controllers=before["AuthController"] - others, objects_grown=grown.total())


async def test_many_failures_leave_nothing_either(mimi_server: IdentityServer, figures: Figures) -> None:
    async def fail(auth: AuthController) -> None:
        with auth.observe(lambda *_, **__: None), pytest.raises(MimiError):
            await auth.ensure_user()

    mimi_server.fail("*", status=503, times=None, headers={"Retry-After": "60"})
    async with MimiCore(
        mimi_server.credentials, server=mimi_server.url, store=MemoryStore(), account=None, keep=KEEP
    ) as core:
        await crowd(core, 300, fail, first=0)
        before = alive()
        await crowd(core, rounds(500, 10_000), fail, first=300)
        grown = alive() - before
        records = rounds(500, 10_000)  # each account has claimed: that is not forgotten
        assert grown.pop("StoredIdentity", 0) <= records
        assert grown.pop("CreateKey", 0) <= records
        assert {kind: count for kind, count in grown.items() if count > BOUND} == {}
        assert asyncio.all_tasks() == {asyncio.current_task()}
    figures.add(failures=rounds(500, 10_000))


async def test_one_account_for_ever_leaves_nothing(mimi_server: IdentityServer, figures: Figures) -> None:
    async with MimiCore(mimi_server.credentials, server=mimi_server.url, store=MemoryStore()) as core:

        async def live(times: int) -> None:
            for number in range(times):
                await core.auth.ensure_user()
                await core.auth.update_user(year_of_birth=1930 + number % 50)
                task = asyncio.create_task(core.auth.reload_user())
                await asyncio.sleep(0)
                task.cancel()
                await core.auth.reload_user()

        await live(50)
        before = alive()
        await live(rounds(500, 5_000))
        grown = alive() - before
        assert {kind: count for kind, count in grown.items() if count > BOUND} == {}
        assert asyncio.all_tasks() == {asyncio.current_task()}
    figures.add(calls_of_one_account=4 * rounds(500, 5_000))


async def test_a_core_that_is_left_in_the_middle_leaves_no_task(mimi_server: IdentityServer) -> None:
    mimi_server.delay("*", 0.5)
    async with MimiCore(mimi_server.credentials, server=mimi_server.url, store=MemoryStore(), account=None) as core:
        core._turns.grace = 0.1
        auths = [await core.auth_for(f"a-{number}") for number in range(20)]
        calls = [asyncio.create_task(auth.ensure_user()) for auth in auths for _ in range(3)]
        updates = [asyncio.create_task(anext(auth.updates())) for auth in auths]
        await asyncio.sleep(0.05)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {NotStartedError}
    ends = await asyncio.gather(*updates, return_exceptions=True)
    assert {type(end) for end in ends} == {StopAsyncIteration}
    assert asyncio.all_tasks() == {asyncio.current_task()}
