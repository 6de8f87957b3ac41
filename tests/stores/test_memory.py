"""The store that forgets, held to the contract of all stores."""

import asyncio
import os
from pathlib import Path
from typing import ClassVar

import pytest

from mimi_async.errors import ConfigurationError
from mimi_async.stores import IdentityStore, MemoryStore
from mimi_async.testing.store_contract import StoreContract
from mimi_async.testing.store_scenarios import fresh_active


class TestMemoryStore(StoreContract):
    lasting: ClassVar[bool] = False

    def make_store(self, place: Path) -> IdentityStore:
        return MemoryStore()


async def test_two_cores_of_one_loop_share_it() -> None:
    store = MemoryStore()
    async with store:
        async with store:
            record = await store.claim("a", fresh_active())
        assert await store.load("a") == record


def test_keeps_its_records_from_one_loop_to_the_next() -> None:
    async def claim() -> None:
        async with store:
            await store.claim("a", record)

    async def load() -> object:
        async with store:
            return await store.load("a")

    store, record = MemoryStore(), fresh_active()
    asyncio.run(claim())
    assert asyncio.run(load()) == record


def test_may_be_entered_again_when_its_loop_is_gone() -> None:
    store = MemoryStore()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(store.__aenter__())
    loop.close()

    async def enter() -> None:
        async with store:
            assert await store.load("a") is None

    asyncio.run(enter())


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of a process with threads: the child ends at once
def test_is_refused_in_a_forked_child_though_nobody_has_entered_it() -> None:
    store = MemoryStore()
    asyncio.run(store.claim("a", fresh_active()))
    child = os.fork()
    if not child:
        try:
            asyncio.run(store.load("a"))
        except ConfigurationError:
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
