"""Leaving a core that listens to the news of its store, or heeds them just now."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mimi_async import NotStartedError, StoreUnavailableError, startup
from mimi_async.auth import changes as room
from mimi_async.stores import MemoryStore
from mimi_async.stores.base import Change

from ..doubles import FakeServer, be_quick, core_of, settle
from .launches import raising
from .stores_for_tests import BEFORE_LOAD
from .telling import MISSED, Door, Scripted, about, heeded, restored, silence
from .test_keep_trying import Pauses


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def door() -> Door:
    return Door(MemoryStore(), [])


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    pauses = Pauses()
    monkeypatch.setattr(startup.keep_heeding, "__kwdefaults__", {"sleep": pauses.sleep})
    return pauses


async def test_leaving_closes_the_source_before_the_store(server: FakeServer, door: Door) -> None:
    async with core_of(server, store=door):
        await settle()
    assert door.closed == [True]
    assert door.is_entered == 0


async def test_leaving_does_not_wait_for_a_pause_to_end(server: FakeServer, door: Door, pauses: Pauses) -> None:
    core = core_of(server, store=door)
    core._turns.grace = 3600.0
    async with asyncio.timeout(30), core:
        door.tell(RuntimeError("lost"))
        await pauses.next_try_has_failed()


@pytest.mark.parametrize("is_stubborn", [False, True])
async def test_a_source_that_hangs_when_it_is_closed_does_not_hold_up_the_core(
    server: FakeServer, caplog: pytest.LogCaptureFixture, is_stubborn: bool
) -> None:
    release = asyncio.Event()

    async def hanging() -> AsyncIterator[Change]:
        try:
            await asyncio.Event().wait()
            yield MISSED
        finally:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    if not is_stubborn:
                        raise

    async with asyncio.timeout(10), be_quick(core_of(server, store=Scripted(hanging))):
        await settle()
    assert ("swallows its cancellation" in caplog.text) == is_stubborn
    release.set()
    await settle()


async def test_a_source_that_hangs_when_it_is_closed_is_given_up(
    server: FakeServer, pauses: Pauses, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hanging() -> AsyncIterator[Change]:
        try:
            yield "junk"  # type: ignore[misc]  # so that it is closed
        finally:
            await asyncio.Event().wait()

    monkeypatch.setattr(room, "_CLOSE_SECONDS", 0.01)
    store = Scripted(hanging, silence)
    async with core_of(server, store=store):
        await pauses.next_try_has_failed()
        pauses.end()
        await settle()
        assert store.begun == 2


async def test_leaving_while_a_change_is_heeded_ends_it(
    server: FakeServer, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    async with be_quick(core_of(server, store=door)) as core:
        door.pause = asyncio.Event()
        door.tell(about("default"))
        await door.news.join()
        await settle()
        assert core.auth.is_busy
    assert not core._turns._turns
    assert not core._turns._tasks
    assert caplog.text == ""


async def test_a_change_that_can_not_be_heeded_while_the_core_is_left_leaves_no_view_waiting(
    server: FakeServer, door: Door
) -> None:
    async with core_of(server, store=door) as core:
        door.pause = asyncio.Event()
        door.at(BEFORE_LOAD, raising(StoreUnavailableError("down")))
        door.tell(about("default"))
        await door.news.join()
        await settle()
        asyncio.get_running_loop().call_later(0.01, door.pause.set)
    assert not core.auth.is_restored
    assert isinstance(core.auth.gate.cause, NotStartedError)


async def test_leaving_while_many_wait_to_be_asked_ends_it(
    server: FakeServer, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    async with be_quick(core_of(server, store=door, account=None)) as core:
        await restored(core, 40)
        door.pause = asyncio.Event()
        door.loads = 0
        door.tell(MISSED)
        await door.news.join()
        await settle()
    assert door.loads == 16
    assert not core._turns._turns
    assert caplog.text == ""


async def test_a_change_that_could_not_be_heeded_leaves_no_error_that_nobody_has_seen(
    server: FakeServer, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    async with core_of(server, store=door) as core:
        door.at(BEFORE_LOAD, raising(StoreUnavailableError("down")))
        door.tell(about("default"))
        await heeded(core, door)
        assert not core.auth.is_restored
    assert caplog.text == ""
