"""Listen to the change feed of a store: when it ends, when it is opened again; its failures never end the core."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import pytest

from mimi_async import MimiCore, StoreUnavailableError
from mimi_async.stores.base import Change

from ..doubles import FakeServer, core_of, set_timeouts, settle
from ..internals import listener_of, supervisor_of
from .change_feeds import MISSED, Scripted, SharedStore, about, follow, restore_accounts, silence, until
from .launches import Pauses


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


async def nothing() -> AsyncIterator[Change]:
    return
    yield MISSED


async def one_and_over() -> AsyncIterator[Change]:
    yield MISSED


async def junk() -> AsyncIterator[Change]:
    yield "a change of secret"  # type: ignore[misc]  # that is the flaw


async def failing() -> AsyncIterator[Change]:
    msg = "of a secret"
    raise RuntimeError(msg)
    yield MISSED


async def cancelling() -> AsyncIterator[Change]:
    raise asyncio.CancelledError
    yield MISSED


def impatient(core: MimiCore, seconds: float) -> MimiCore:
    return set_timeouts(core, feed_settling=seconds)


# Over, or lost -------------------------------------------------------------------------------------------------------


async def test_a_feed_that_ends_at_once_without_a_change_is_not_opened_again(
    server: FakeServer, pauses: Pauses
) -> None:
    store = Scripted(nothing)
    async with core_of(server, store=store) as core:
        await settle()
        assert store.opened == 1
        assert pauses.started.empty()
        assert supervisor_of(core).is_idle


@pytest.mark.parametrize("listening", [one_and_over, junk, failing, cancelling])
async def test_a_lost_feed_is_opened_again(
    server: FakeServer, pauses: Pauses, caplog: pytest.LogCaptureFixture, listening: Callable[[], AsyncIterator[Change]]
) -> None:
    store = Scripted(listening, listening, silence)
    async with core_of(server, store=store) as core:
        for _ in range(2):
            await pauses.end_next()
        await settle()
        assert store.opened == 3
        assert core.auth.is_restored
        assert await core.auth.ensure_user() is not None
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 2
    assert all("was lost" in record.message for record in warnings)
    assert "secret" not in caplog.text


async def test_a_feed_that_ends_later_without_a_change_is_lost(server: FakeServer, pauses: Pauses) -> None:
    async def short() -> AsyncIterator[Change]:
        await asyncio.sleep(0.02)
        return
        yield MISSED

    store = Scripted(short, silence)
    async with impatient(core_of(server, store=store), 0.01):
        await pauses.end_next()
        await settle()
        assert store.opened == 2


async def test_a_source_that_can_not_be_closed_is_left_open(server: FakeServer) -> None:
    class Plain:
        def __aiter__(self) -> "Plain":
            return self

        async def __anext__(self) -> Change:
            raise StopAsyncIteration

    store = Scripted(Plain)
    async with core_of(server, store=store):
        await settle()
    assert store.opened == 1


async def test_a_source_that_is_given_up_is_closed_before_the_next_one_begins(
    server: FakeServer, pauses: Pauses, caplog: pytest.LogCaptureFixture
) -> None:
    closed = []

    async def watched() -> AsyncIterator[Change]:
        try:
            yield "a change"  # type: ignore[misc]  # that is the flaw
        finally:
            closed.append(True)

    held = watched()  # else the loop would close it, without a reference to it
    async with core_of(server, store=Scripted(lambda: held, silence)):
        await pauses.wait_started()
        assert closed == [True]
    assert "changes() yields Change(…), not a str" in caplog.text


async def test_changes_of_evicted_controllers_are_not_kept(server: FakeServer, shared: SharedStore) -> None:
    async with core_of(server, store=shared, account=None) as core:
        await restore_accounts(core, 17)
        shared.pause = asyncio.Event()
        shared.emit(*(about(f"a-{number}") for number in range(17)), *(about(f"b-{number}") for number in range(100)))
        await shared.feed.join()
        assert listener_of(core).waiting == 1
        shared.pause.set()


async def test_what_was_missed_is_asked_for_once_a_lost_source_is_there_again(
    server: FakeServer, pauses: Pauses
) -> None:
    async def soon_failing() -> AsyncIterator[Change]:
        await settle()
        raise OSError
        yield MISSED

    store = Scripted(one_and_over, soon_failing, failing, silence)
    async with impatient(core_of(server, store=store, account=None), 3600.0) as core:
        await restore_accounts(core, 3)
        await pauses.wait_started()
        store.loads = 0
        pauses.end()
        await pauses.wait_started()
        await settle()
        assert store.loads == 0  # it is not there again yet, and the store may be down with it
        impatient(core, 0.0)
        pauses.end()
        await pauses.wait_started()
        await settle()
        assert store.loads == 0
        impatient(core, 0.01)
        pauses.end()
        await until(lambda: store.loads >= 3)
        await settle()
        assert store.loads == 3


async def test_the_first_change_shows_that_a_lost_feed_is_there_again(
    server: FakeServer, shared: SharedStore, pauses: Pauses
) -> None:
    async with impatient(core_of(server, store=shared, account=None), 3600.0) as core:
        await restore_accounts(core, 3)
        shared.emit(about("a-0"), RuntimeError("lost"))
        await pauses.wait_started()
        await follow(core, shared)
        shared.loads = 0
        pauses.end()
        await follow(core, shared, about("unknown"))
        assert shared.loads == 3
        await follow(core, shared, about("unknown"))
        assert shared.loads == 3


async def test_the_pauses_are_jittered_and_capped_and_start_again_after_a_long_feed(
    server: FakeServer, shared: SharedStore, pauses: Pauses
) -> None:
    lengths = []

    async def lose() -> None:
        shared.emit(MISSED, StoreUnavailableError("lost"))
        lengths.append(await pauses.end_next())

    async with core_of(server, store=shared) as core:
        for _ in range(50):
            await lose()
        assert all(0 <= pause <= 30 for pause in lengths)
        assert len(set(lengths)) > 40
        assert max(lengths) > 5
        assert lengths[0] <= 0.5
        set_timeouts(core, feed_reset=0.0)
        for _ in range(5):
            await lose()
        assert all(pause <= 0.5 for pause in lengths[-5:])
