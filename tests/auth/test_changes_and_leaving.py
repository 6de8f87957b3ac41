"""Leave a core that listens to the change feed of its store, or refreshes an account."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mimi_async import NotStartedError, StoreUnavailableError, Timeouts
from mimi_async.stores.base import Change

from ..doubles import FakeServer, be_quick, core_of, set_timeouts, settle
from ..internals import supervisor_of
from .change_feeds import MISSED, Scripted, SharedStore, about, follow, restore_accounts, silence
from .launches import Pauses, raising
from .stores_for_tests import BEFORE_LOAD


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


async def test_leaving_closes_the_source_before_the_store(server: FakeServer, shared: SharedStore) -> None:
    async with core_of(server, store=shared):
        await settle()
    assert shared.closed == [True]
    assert shared.is_entered == 0


async def test_leaving_does_not_wait_for_a_pause_to_end(
    server: FakeServer, shared: SharedStore, pauses: Pauses
) -> None:
    core = core_of(server, store=shared)
    set_timeouts(core, shutdown=3600.0)
    async with asyncio.timeout(30), core:
        shared.emit(RuntimeError("lost"))
        await pauses.wait_started()


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


async def test_a_source_that_hangs_when_it_is_closed_is_given_up(server: FakeServer, pauses: Pauses) -> None:
    async def hanging() -> AsyncIterator[Change]:
        try:
            yield "junk"  # type: ignore[misc]  # so that it is closed
        finally:
            await asyncio.Event().wait()

    store = Scripted(hanging, silence)
    async with core_of(server, store=store, timeouts=Timeouts(feed_close=0.01)):
        await pauses.end_next()
        await settle()
        assert store.opened == 2


async def test_leaving_during_a_refresh_ends_it(
    server: FakeServer, shared: SharedStore, caplog: pytest.LogCaptureFixture
) -> None:
    async with be_quick(core_of(server, store=shared)) as core:
        shared.pause = asyncio.Event()
        await shared.deliver(about("default"))
        assert core.auth.is_busy
    assert supervisor_of(core).is_idle
    assert supervisor_of(core).is_idle
    assert caplog.text == ""


async def test_a_refresh_that_fails_while_the_core_is_left_leaves_no_view_waiting(
    server: FakeServer, shared: SharedStore
) -> None:
    async with core_of(server, store=shared) as core:
        shared.pause = asyncio.Event()
        shared.at(BEFORE_LOAD, raising(StoreUnavailableError("down")))
        await shared.deliver(about("default"))
        asyncio.get_running_loop().call_later(0.01, shared.pause.set)
    assert not core.auth.is_restored
    assert isinstance(core.auth.gate.cause, NotStartedError)


async def test_leaving_while_many_wait_to_be_asked_ends_it(
    server: FakeServer, shared: SharedStore, caplog: pytest.LogCaptureFixture
) -> None:
    async with be_quick(core_of(server, store=shared, account=None)) as core:
        await restore_accounts(core, 40)
        shared.pause = asyncio.Event()
        shared.loads = 0
        await shared.deliver(MISSED)
    assert shared.loads == 16
    assert supervisor_of(core).is_idle
    assert caplog.text == ""


async def test_a_failed_refresh_leaves_no_unretrieved_error(
    server: FakeServer, shared: SharedStore, caplog: pytest.LogCaptureFixture
) -> None:
    async with core_of(server, store=shared) as core:
        shared.at(BEFORE_LOAD, raising(StoreUnavailableError("down")))
        await follow(core, shared, about("default"))
        assert not core.auth.is_restored
    assert caplog.text == ""
