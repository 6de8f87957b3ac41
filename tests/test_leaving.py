"""Leaving the core in the middle of things."""

import asyncio
import logging

import pytest

from mimi_async import AuthController, MimiCore, NotStartedError, ServerUnreachableError, ViewsClosedError
from mimi_async.stores import MemoryStore, StoredIdentity

from .doubles import (
    EnteredStore,
    FakeServer,
    Observer,
    be_quick,
    core_of,
    set_timeouts,
    settle,
    store_with,
    then,
    views,
    whose,
)


class SlowStore(MemoryStore):
    """A store whose writes of an active record take until `release` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.release, self.writing = asyncio.Event(), asyncio.Event()
        self.entries_at_write: list[int] = []
        self.closing: Exception | None = None

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        self.writing.set()
        await self.release.wait()
        self.entries_at_write.append(self.entries)
        return await super().replace(account, expected, new)

    async def __aexit__(self, *exc_info: object) -> None:
        await super().__aexit__()
        if self.closing is not None:
            raise self.closing


async def leaving(core: MimiCore) -> asyncio.Task[None]:
    task = asyncio.create_task(core.__aexit__())
    await settle()
    return task


async def test_what_waits_is_cancelled_at_once_and_what_runs_is_awaited() -> None:
    server, store, observer = FakeServer(), EnteredStore(), Observer()
    core = await core_of(server, store=store).__aenter__()
    core.observe(observer)
    release = server.hold()
    running = asyncio.create_task(core.auth.ensure_user())
    await server.asked()
    waiting = [asyncio.create_task(core.auth.ensure_user()) for _ in range(3)]
    await settle()
    left = await leaving(core)
    for call in waiting:
        with pytest.raises(NotStartedError):
            await call
    with pytest.raises(NotStartedError):
        await core.auth.ensure_user()
    await asyncio.sleep(0.2)
    assert not running.done()
    release.set()
    user = await running
    await left
    assert observer.kinds == [(user, None, None)]
    record = await store.load("default")
    assert record is not None
    assert record.anonymous_id == user.anonymous_id


async def test_an_operation_beyond_the_shutdown_timeout_is_cancelled_and_the_record_says_how_to_go_on() -> None:
    server, store = FakeServer(), EnteredStore()
    core = await be_quick(core_of(server, store=store)).__aenter__()
    server.hold()
    running = asyncio.create_task(core.auth.ensure_user())
    await server.asked()
    await core.__aexit__()
    with pytest.raises(NotStartedError, match="the stored record"):
        await running
    record = await store.load("default")
    assert record is not None
    assert record.state == "pending"
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not store.is_entered


async def test_a_waiter_of_a_restore_that_fails_while_the_core_is_left_is_refused_at_once() -> None:
    server = FakeServer()
    core = await core_of(server, store=await store_with(server.add_user(), "a"), account=None).__aenter__()
    release = server.hold()
    calls = [asyncio.create_task(core.auth_for("a")) for _ in range(4)]
    await server.asked()
    server.failure = ServerUnreachableError("down")
    left = await leaving(core)
    release.set()
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        await left
    assert [type(outcome) for outcome in outcomes] == [ServerUnreachableError, *[NotStartedError] * 3]
    assert server.requests == ["POST /v1/sessions"]


async def test_a_store_write_is_awaited_beyond_the_shutdown_timeout_and_before_the_store_closes() -> None:
    server, store = FakeServer(), SlowStore()
    core = await be_quick(core_of(server, store=store)).__aenter__()
    running = asyncio.create_task(core.auth.ensure_user())
    await store.writing.wait()
    left = await leaving(core)
    await asyncio.sleep(0.2)
    assert not left.done()
    store.release.set()
    await left
    assert store.entries_at_write == [1]
    record = await store.load("default")
    assert record is not None
    assert record.state == "active"
    with pytest.raises(NotStartedError):
        await running


async def test_a_store_write_that_hangs_is_awaited_to_its_deadline_only() -> None:
    store = SlowStore()
    core = be_quick(core_of(FakeServer(), store=store))
    set_timeouts(core, call=0.3)
    await core.__aenter__()
    running = asyncio.create_task(core.auth.ensure_user())
    await store.writing.wait()
    await core.__aexit__()
    outcome = (await asyncio.gather(running, return_exceptions=True))[0]
    assert isinstance(outcome, Exception)
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_deliveries_get_the_shutdown_timeout_and_are_then_cancelled() -> None:
    observer, cut = Observer(), asyncio.Event()

    async def hang(auth: AuthController, update: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    core = await core_of(FakeServer()).__aenter__()
    set_timeouts(core, shutdown=0.02)
    core.observe(then(hang))
    core.observe(observer)
    running = asyncio.create_task(core.auth.ensure_user())
    await settle()
    await core.__aexit__()
    assert cut.is_set()
    user = await running
    assert user == core.auth.current_user, "what was committed is returned"
    assert observer.updates == []


async def test_views_are_the_hosts_neither_cancelled_nor_awaited() -> None:
    release, ended = asyncio.Event(), list[str]()

    async def long(auth: AuthController) -> None:
        await release.wait()
        ended.append(auth.account)

    async with core_of(FakeServer()) as core:
        view = asyncio.create_task(core.present(long))
        await settle()
    assert not view.done()
    release.set()
    await view
    assert ended == ["default"]


@pytest.mark.parametrize("account", [None, "a-17"])
async def test_present_after_leaving_is_refused(account: str | None) -> None:
    async with core_of(FakeServer()) as core:
        await core.present(whose, account=account)
    with pytest.raises(ViewsClosedError) as caught:
        await core.present(whose, account=account)
    assert isinstance(caught.value.__cause__, NotStartedError)


async def test_a_present_before_a_start_that_never_comes_waits_and_may_be_cancelled() -> None:
    core = core_of(FakeServer())
    tasks = await views(core, 2)
    tasks[0].cancel()
    await settle()
    assert [task.done() for task in tasks] == [True, False]
    async with core:
        assert await tasks[1] is None


async def test_the_error_of_the_body_wins_and_what_fails_at_the_exit_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = SlowStore()
    store.closing = OSError("the disk of anonymous 3f2a")
    with pytest.raises(ZeroDivisionError):
        async with core_of(FakeServer(), store=store):
            raise ZeroDivisionError
    store = SlowStore()
    store.closing = OSError("the disk of anonymous 3f2a")
    async with core_of(FakeServer(), store=store):
        pass
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2
    assert all("OSError" in record.message and "3f2a" not in record.message for record in errors)


async def test_leaving_that_is_cancelled_leaves_no_operation_running() -> None:
    server, store = FakeServer(), EnteredStore()
    core = await core_of(server, store=store).__aenter__()
    server.hold()
    running = asyncio.create_task(core.auth.ensure_user())
    await server.asked()
    left = await leaving(core)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    with pytest.raises(NotStartedError):
        await running
    assert not store.is_entered


async def test_a_task_that_suppresses_its_cancellation_does_not_keep_the_core(caplog: pytest.LogCaptureFixture) -> None:
    release = asyncio.Event()

    async def stubborn(auth: AuthController, update: object) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    core = await core_of(FakeServer()).__aenter__()
    set_timeouts(core, shutdown=0.02)
    core.observe(then(stubborn))
    running = asyncio.create_task(core.auth.ensure_user())
    await settle()
    await core.__aexit__()
    assert "swallows its cancellation" in caplog.text
    release.set()
    await running
