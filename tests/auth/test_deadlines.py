"""Every call ends by its deadline, whatever the server, the store or an observer does, and leaves nothing half done."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mimi_async import (
    AnonymousId,
    AuthController,
    MimiError,
    ServerTimeoutError,
    StoreUnavailableError,
    UserUpdate,
    ViewsClosedError,
)
from mimi_async.stores import MemoryStore, StoredIdentity
from mimi_async.timeouts import Timeouts
from mimi_async.wire import Reply, Request

from ..doubles import FakeServer, Observer, core_of, set_timeouts, settle, store_with, then, whose
from ..internals import controller_of, supervisor_of


class HangingStore(MemoryStore):
    """A store of which one verb hangs while `release` is not set."""

    def __init__(self, verb: str = "") -> None:
        super().__init__()
        self.verb, self.release = verb, asyncio.Event()

    async def load(self, account: str) -> StoredIdentity | None:
        await self._meet("load")
        return await super().load(account)

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        await self._meet("replace")
        return await super().replace(account, expected, new)

    async def _meet(self, verb: str) -> None:
        if verb == self.verb:
            await self.release.wait()


class Hanging:
    """A service whose start went well, and of which one part hangs from then on."""

    def __init__(self, phase: str) -> None:
        self.phase, self.server, self.observer = phase, FakeServer(), Observer()
        self.store = HangingStore({"load": "load", "keep": "replace"}.get(phase, ""))
        self.release = self.server.hold() if phase == "server" else asyncio.Event()
        self.core = core_of(self.server, store=self.store, account=None, known_id=self.known_id)
        self.core.observe(self.observer)
        set_timeouts(self.core, call=0.05)

    async def known_id(self, account: str) -> AnonymousId | None:
        if self.phase == "known_id":
            await self.release.wait()
        return None

    def recover(self) -> None:
        self.release.set()
        self.store.release.set()
        set_timeouts(self.core, call=30.0)


@pytest.mark.parametrize(
    ("phase", "late"),
    [
        ("load", StoreUnavailableError),
        ("known_id", StoreUnavailableError),
        ("server", ServerTimeoutError),
        ("keep", StoreUnavailableError),
    ],
)
async def test_an_operation_is_cut_by_its_deadline_at_each_stage_and_the_next_call_goes_on(
    phase: str, late: type[MimiError]
) -> None:
    hanging = Hanging(phase)
    async with hanging.core as core:
        auth = controller_of(core, "a")
        with pytest.raises(late):
            await auth.ensure_user()
        await settle()
        assert hanging.observer.kinds == [(None, None, late)]
        assert supervisor_of(core).is_idle, "the lock is free again"
        hanging.recover()
        user = await auth.ensure_user()
        assert len(hanging.server.users) == 1
        assert hanging.observer.kinds[1:] == [(user, None, None)]


async def test_an_operation_that_gets_the_lock_after_its_deadline_asks_and_delivers_nothing() -> None:
    server, observer = FakeServer(), Observer()
    async with core_of(server) as core:
        await core.auth.ensure_user()
        core.observe(observer)
        server.requests.clear()
        release = server.hold()
        first = asyncio.create_task(core.auth.reload_user())
        await server.asked()
        set_timeouts(core, call=0.02)
        late = asyncio.create_task(core.auth.reset())
        with pytest.raises(ServerTimeoutError, match="nothing was asked"):
            await late
        release.set()
        await first
        assert server.requests == ["GET /v1/user"]
        assert observer.updates == []


async def test_a_call_that_comes_with_no_time_left_changes_nothing() -> None:
    server, store = FakeServer(), MemoryStore()
    async with core_of(server, store=store) as core:
        set_timeouts(core, call=0.0)
        with pytest.raises(ServerTimeoutError):
            await core.auth.ensure_user()
        assert server.requests == []
        assert await store.load("default") is None


async def test_a_call_whose_delivery_hangs_returns_the_committed_result_at_its_deadline() -> None:
    server, release = FakeServer(), asyncio.Event()
    async with core_of(server) as core:
        set_timeouts(core, call=0.05)
        core.observe(then(lambda _, __: release.wait()))
        user = await core.auth.ensure_user()
        assert user == core.auth.current_user
        assert not release.is_set()
        release.set()


async def test_a_call_that_waits_for_a_restore_ends_by_its_own_deadline() -> None:
    server = FakeServer()
    async with core_of(server, store=await store_with(server.add_user(), "a"), account=None) as core:
        release = server.hold()
        restore = asyncio.create_task(core.auth_for("a"))
        await server.asked()
        set_timeouts(core, call=0.02)
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: core.auth_for("a"),
            lambda: controller_of(core, "a").ensure_user(),
            lambda: controller_of(core, "a").start_over(),
        ]
        for call in calls:
            with pytest.raises(ServerTimeoutError):
                await call()
        with pytest.raises(ViewsClosedError):
            await core.present(whose, account="a")
        release.set()
        await restore
        assert server.requests == ["POST /v1/sessions"]


async def test_a_reset_that_is_cut_puts_the_record_back() -> None:
    server, observer = FakeServer(), Observer()
    store = MemoryStore()
    async with core_of(server, store=store) as core:
        user = await core.auth.ensure_user()
        core.observe(observer)
        release = server.hold()
        set_timeouts(core, call=0.05)
        with pytest.raises(ServerTimeoutError):
            await core.auth.reset()
        await settle()
        record = await store.load("default")
        assert record is not None
        assert record.state == "active"
        assert core.auth.current_user == user
        assert observer.kinds == [(user, user, ServerTimeoutError)]
        release.set()


async def test_the_receivers_of_a_cut_operation_run_in_a_task_that_is_not_cancelled() -> None:
    seen: list[object] = []

    async def look(auth: AuthController, update: UserUpdate) -> None:
        task = asyncio.current_task()
        seen.append((type(update.error), task and task.cancelling()))

    hanging = Hanging("server")
    async with hanging.core as core:
        core.observe(then(look))
        with pytest.raises(ServerTimeoutError):
            await controller_of(core, "a").ensure_user()
        await settle()
    assert seen == [(ServerTimeoutError, 0)]


# Code that swallows the cut ------------------------------------------------------------------------------------------


def swallowing(server: FakeServer) -> Callable[[Request], Awaitable[Reply]]:
    """A send that answers when it is cancelled."""

    async def send(request: Request) -> Reply:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await settle(3)
        return await server.send(request)

    return send


async def test_a_send_that_swallows_the_cut_and_answers_late_leaves_a_user_and_an_open_gate() -> None:
    """The caller has left with a timeout; what was created then is stored, delivered, and not a failure."""
    server, observer = FakeServer(), Observer()
    store = await store_with(server.add_user(), "a")
    core = core_of(server, send=swallowing(server), store=store, account=None, timeouts=Timeouts(call=0.02))
    core.observe(observer)
    cancels: list[object] = []
    core.observe(lambda _, **__: cancels.append((task := asyncio.current_task()) and task.cancelling()))
    async with core:
        auth = controller_of(core, "a")
        with pytest.raises(ServerTimeoutError):
            await auth.restore()
        await settle()
        assert observer.kinds == [(auth.current_user, None, None)]
        assert cancels == [0], "its receivers run in a task that is not cancelled any more"
        assert auth.gate.is_open
        assert await core.present(whose, account="a") == auth.current_user is not None


async def test_a_cancellation_that_is_the_hosts_own_is_a_failure_of_its_code_and_not_the_end_of_the_core() -> None:
    calls = iter([True, False])

    async def known_id(account: str) -> None:
        if next(calls):
            raise asyncio.CancelledError

    async with core_of(FakeServer(), account=None, known_id=known_id) as core:
        with pytest.raises(StoreUnavailableError, match="known_id failed"):
            await core.auth_for("a")
        assert (await core.auth_for("a")).current_user is None
