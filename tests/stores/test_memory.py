"""The store that forgets, held to the contract of all stores."""

import asyncio
from pathlib import Path
from typing import ClassVar

from mimi_async.stores import IdentityStore, MemoryStore
from mimi_async.testing.store_contract import StoreContract
from mimi_async.testing.store_contract_base import fresh_active, is_refused_in_forked_child


class TestMemoryStore(StoreContract):
    is_persistent: ClassVar[bool] = False

    def make_store(self, folder: Path) -> IdentityStore:
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


def test_is_refused_in_a_forked_child_though_it_was_never_entered() -> None:
    store = MemoryStore()
    asyncio.run(store.claim("a", fresh_active()))
    assert is_refused_in_forked_child(store)
