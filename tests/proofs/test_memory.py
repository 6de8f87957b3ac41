"""Memory is bounded: over many accounts, over many failures, and after a core is left."""

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
from ..doubles import set_timeouts
from .conftest import Figures

pytestmark = pytest.mark.timeout(rounds(120, 3600))

KEEP = 100
AT_ONCE = 50
BOUND = 200  # asyncio keeps up to a hundred cancelled timers
COUNTED = ("mimi_async.", "asyncio.", "_asyncio", "aiohttp.", "tenacity")


def count_objects() -> Counter[str]:
    """Count the objects of the library, asyncio and aiohttp in memory."""
    gc.collect()
    counts: Counter[str] = Counter()
    for kind, count in Counter(map(type, gc.get_objects())).items():
        if str(kind.__module__).startswith(COUNTED) and kind.__module__ != "mimi_async.testing.faults":
            counts[kind.__qualname__] += count
    return counts


async def use_accounts(
    core: MimiCore, count: int, call: Callable[[AuthController], Coroutine[Any, Any, None]], *, first: int
) -> None:
    """Visit `count` new accounts, some concurrently."""
    numbers = iter(range(first, first + count))

    async def use_next() -> None:
        for number in numbers:
            await call(await core.auth_for(f"a-{number}"))

    async with asyncio.TaskGroup() as visitors:
        for _ in range(AT_ONCE):
            visitors.create_task(use_next())


async def onboard_and_log_out(auth: AuthController) -> None:
    """Ensure a user, receive its update, and log out."""
    with auth.observe(lambda *_, **__: None, replay=True):
        updates = auth.updates()
        await auth.ensure_user()
        assert (await anext(updates)).current is not None
        updates.close()
        await auth.log_out()


async def test_many_accounts_leave_a_bounded_number_of_everything(
    mimi_server: IdentityServer, figures: Figures
) -> None:
    cycles = rounds(600, 20_000)
    updates, others = 0, count_objects()["AuthController"]

    def count_update(*_: object, **__: object) -> None:
        nonlocal updates
        updates += 1

    async with MimiCore(
        mimi_server.credentials, server=mimi_server.url, store=MemoryStore(), account=None, max_idle_controllers=KEEP
    ) as core:
        core.observe(count_update)
        await use_accounts(core, 300, onboard_and_log_out, first=0)
        before = count_objects()
        await use_accounts(core, cycles, onboard_and_log_out, first=300)
        grown = count_objects() - before
        assert before["AuthController"] - others == KEEP
        assert {kind: count for kind, count in grown.items() if count > BOUND} == {}
        assert asyncio.all_tasks() == {asyncio.current_task()}
    assert updates == 2 * (300 + cycles)
    figures.add(cycles=cycles, controllers=before["AuthController"] - others, objects_grown=grown.total())


async def test_many_failures_leave_nothing(mimi_server: IdentityServer, figures: Figures) -> None:
    async def fail(auth: AuthController) -> None:
        with auth.observe(lambda *_, **__: None), pytest.raises(MimiError):
            await auth.ensure_user()

    records = rounds(300, 10_000)  # each account keeps its claim
    mimi_server.fail("*", status=503, times=None, headers={"Retry-After": "60"})
    async with MimiCore(
        mimi_server.credentials, server=mimi_server.url, store=MemoryStore(), account=None, max_idle_controllers=KEEP
    ) as core:
        await use_accounts(core, 200, fail, first=0)
        before = count_objects()
        await use_accounts(core, records, fail, first=200)
        grown = count_objects() - before
        assert grown.pop("StoredIdentity", 0) <= records
        assert grown.pop("CreateKey", 0) <= records
        assert {kind: count for kind, count in grown.items() if count > BOUND} == {}
        assert asyncio.all_tasks() == {asyncio.current_task()}
    figures.add(failures=records)


async def test_many_calls_of_one_account_leave_nothing(mimi_server: IdentityServer, figures: Figures) -> None:
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
        before = count_objects()
        await live(rounds(300, 5_000))
        grown = count_objects() - before
        assert {kind: count for kind, count in grown.items() if count > BOUND} == {}
        assert asyncio.all_tasks() == {asyncio.current_task()}
    figures.add(calls_of_one_account=4 * rounds(300, 5_000))


async def test_a_core_that_is_left_in_the_middle_leaves_no_task(mimi_server: IdentityServer) -> None:
    mimi_server.delay("*", 0.5)
    async with MimiCore(mimi_server.credentials, server=mimi_server.url, store=MemoryStore(), account=None) as core:
        set_timeouts(core, shutdown=0.1)
        auths = [await core.auth_for(f"a-{number}") for number in range(20)]
        calls = [asyncio.create_task(auth.ensure_user()) for auth in auths for _ in range(3)]
        updates = [asyncio.create_task(anext(auth.updates())) for auth in auths]
        await asyncio.sleep(0.05)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {NotStartedError}
    ends = await asyncio.gather(*updates, return_exceptions=True)
    assert {type(end) for end in ends} == {StopAsyncIteration}
    assert asyncio.all_tasks() == {asyncio.current_task()}
