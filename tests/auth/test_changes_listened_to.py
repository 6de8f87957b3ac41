"""Listening to a store's news: what ends it, what begins it again, and that nothing of it can hurt the core."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import pytest

from mimi_async import MimiCore, StoreUnavailableError, startup
from mimi_async.auth import changes as room
from mimi_async.stores import MemoryStore
from mimi_async.stores.base import Change

from ..doubles import FakeServer, core_of, settle
from .telling import MISSED, Door, Scripted, about, heeded, restored, silence, until
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
    assert core._changes is not None
    core._changes.settling = seconds
    return core


# Over, or lost -------------------------------------------------------------------------------------------------------


async def test_a_source_that_ends_at_once_without_news_is_over(server: FakeServer, pauses: Pauses) -> None:
    store = Scripted(nothing)
    async with core_of(server, store=store) as core:
        await settle()
        assert store.begun == 1
        assert pauses.begun.empty()
        assert not core._turns._tasks


@pytest.mark.parametrize("listening", [one_and_over, junk, failing, cancelling])
async def test_a_source_that_is_lost_is_listened_to_again(
    server: FakeServer, pauses: Pauses, caplog: pytest.LogCaptureFixture, listening: Callable[[], AsyncIterator[Change]]
) -> None:
    store = Scripted(listening, listening, silence)
    async with core_of(server, store=store) as core:
        for _ in range(2):
            await pauses.next_try_has_failed()
            pauses.end()
        await settle()
        assert store.begun == 3
        assert core.auth.is_restored
        assert await core.auth.ensure_user() is not None
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 2
    assert all("were lost" in record.message for record in warnings)
    assert "secret" not in caplog.text


async def test_a_source_that_ends_without_news_after_a_while_is_lost(server: FakeServer, pauses: Pauses) -> None:
    async def short() -> AsyncIterator[Change]:
        await asyncio.sleep(0.02)
        return
        yield MISSED

    store = Scripted(short, silence)
    async with impatient(core_of(server, store=store), 0.01):
        await pauses.next_try_has_failed()
        pauses.end()
        await settle()
        assert store.begun == 2


async def test_a_source_that_can_not_be_closed_is_fine(server: FakeServer) -> None:
    class Plain:
        def __aiter__(self) -> "Plain":
            return self

        async def __anext__(self) -> Change:
            raise StopAsyncIteration

    store = Scripted(Plain)
    async with core_of(server, store=store):
        await settle()
    assert store.begun == 1


async def test_a_source_that_is_given_up_is_closed_before_the_next_one_begins(
    server: FakeServer, pauses: Pauses, caplog: pytest.LogCaptureFixture
) -> None:
    closed = []

    async def watched() -> AsyncIterator[Change]:
        try:
            yield "a change"  # type: ignore[misc]  # that is the flaw
        finally:
            closed.append(True)

    held = watched()  # else it would be closed by the loop, when nobody holds it any more
    async with core_of(server, store=Scripted(lambda: held, silence)):
        await pauses.next_try_has_failed()
        assert closed == [True]
    assert "changes() yields Change(…), not a str" in caplog.text


async def test_news_of_nobody_who_is_alive_are_not_kept(server: FakeServer, door: Door) -> None:
    async with core_of(server, store=door, account=None) as core:
        await restored(core, 17)
        door.pause = asyncio.Event()
        door.tell(*(about(f"a-{number}") for number in range(17)), *(about(f"b-{number}") for number in range(100)))
        await door.news.join()
        assert core._changes is not None
        assert len(core._changes._news) == 1
        door.pause.set()


async def test_what_was_missed_is_asked_for_once_a_lost_source_is_there_again(
    server: FakeServer, pauses: Pauses
) -> None:
    async def soon_failing() -> AsyncIterator[Change]:
        await settle()
        raise OSError
        yield MISSED

    store = Scripted(one_and_over, soon_failing, failing, silence)
    async with impatient(core_of(server, store=store, account=None), 3600.0) as core:
        await restored(core, 3)
        await pauses.next_try_has_failed()
        store.loads = 0
        pauses.end()
        await pauses.next_try_has_failed()
        await settle()
        assert store.loads == 0  # it is not there again yet, and the store may be down with it
        impatient(core, 0.0)
        pauses.end()
        await pauses.next_try_has_failed()
        await settle()
        assert store.loads == 0
        impatient(core, 0.01)
        pauses.end()
        await until(lambda: store.loads >= 3)
        await settle()
        assert store.loads == 3


async def test_the_first_news_show_that_a_lost_source_is_there_again(
    server: FakeServer, door: Door, pauses: Pauses
) -> None:
    async with impatient(core_of(server, store=door, account=None), 3600.0) as core:
        await restored(core, 3)
        door.tell(about("a-0"), RuntimeError("lost"))
        await pauses.next_try_has_failed()
        await heeded(core, door)
        door.loads = 0
        pauses.end()
        door.tell(about("nobody"))
        await heeded(core, door)
        assert door.loads == 3
        door.tell(about("nobody"))
        await heeded(core, door)
        assert door.loads == 3


async def test_the_pauses_are_jittered_and_capped_and_begin_anew_after_a_long_while(
    server: FakeServer, door: Door, pauses: Pauses, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []

    async def lose() -> None:
        door.tell(MISSED, StoreUnavailableError("lost"))
        taken.append(await pauses.next_try_has_failed())
        pauses.end()

    async with core_of(server, store=door):
        for _ in range(50):
            await lose()
        assert all(0 <= pause <= 30 for pause in taken)
        assert len(set(taken)) > 40
        assert max(taken) > 5
        assert taken[0] <= 0.5
        monkeypatch.setattr(room, "_LONG_SECONDS", 0.0)
        for _ in range(5):
            await lose()
        assert all(pause <= 0.5 for pause in taken[-5:])
