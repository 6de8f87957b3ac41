import asyncio
import contextlib
import gc
import weakref

import pytest

from mimi_async import MimiUser, ServerUnreachableError, UpdateStream, UserUpdate

from ..doubles import FakeServer, core_of, settle

DOWN = ServerUnreachableError("down")


async def test_updates_yields_each_update_to_a_consumer_that_keeps_up() -> None:
    async with core_of(FakeServer()) as core:
        seen: list[UserUpdate] = []

        async def consume() -> None:
            seen.extend([update async for update in updates])

        updates = core.auth.updates()
        consumer = asyncio.create_task(consume())
        first = await core.auth.ensure_user()
        await settle()
        second = await core.auth.update_user(sex="male")
    await consumer
    assert seen == [UserUpdate(first, None, None), UserUpdate(second, first, None)]


async def test_a_slow_consumer_gets_one_merged_update() -> None:
    """The oldest `old`, the newest `current` and the newest error, however many there were."""
    server = FakeServer()
    async with core_of(server) as core:
        old = await core.auth.ensure_user()
        updates = core.auth.updates()
        server.script = [DOWN]
        with pytest.raises(ServerUnreachableError):
            await core.auth.reload_user()
        for year in range(1950, 1980):
            current: MimiUser = await core.auth.update_user(year_of_birth=year)
        merged = await anext(updates)
        assert (merged.old, merged.current, type(merged.error)) == (old, current, ServerUnreachableError)
        pending = asyncio.ensure_future(anext(updates))
        await settle()
        assert not pending.done(), "there was one, and no more"
        await core.auth.log_out(discard_id=True)
        assert await pending == UserUpdate(None, current, None)


async def test_updates_end_when_the_core_is_left_after_what_was_held() -> None:
    async with core_of(FakeServer()) as core:
        updates, idle = core.auth.updates(), core.auth.updates()
        waiting = asyncio.create_task(_all(idle))
        user = await core.auth.ensure_user()
        await settle()
    assert await _all(updates) == [UserUpdate(user, None, None)]
    assert await waiting == [UserUpdate(user, None, None)]
    assert await _all(updates) == []
    assert await _all(core.auth.updates()) == [], "one that comes too late ends at once"


async def test_updates_end_when_closed_and_closing_twice_has_no_effect() -> None:
    async with core_of(FakeServer()) as core:
        updates = core.auth.updates()
        waiting = asyncio.create_task(_all(updates))
        await settle()
        async with contextlib.aclosing(updates):
            pass
        updates.close()
        assert await waiting == []
        await core.auth.ensure_user()
        assert await _all(updates) == []


async def test_a_stream_without_a_reference_closes_itself() -> None:
    async with core_of(FakeServer(), account=None, max_idle_controllers=0) as core:
        auth = await core.auth_for("a")
        updates, controller = auth.updates(), weakref.ref(auth)
        del auth
        gc.collect()
        assert controller() is not None
        del updates
        gc.collect()
        assert controller() is None


async def test_a_cancelled_wait_for_an_update_loses_none() -> None:
    async with core_of(FakeServer()) as core:
        updates = core.auth.updates()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(updates)
        user = await core.auth.ensure_user()
        assert await anext(updates) == UserUpdate(user, None, None)


async def _all(updates: UpdateStream) -> list[UserUpdate]:
    return [update async for update in updates]
