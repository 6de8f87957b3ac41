"""Changes of many accounts: which are refreshed, how many at once, and what a change costs the others."""

import asyncio
import gc
import random
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from mimi_async import AuthController, LogInAnonymously, MimiCore, MimiError, MimiUser
from mimi_async.auth import registry
from mimi_async.auth.registry import ControllerRegistry
from mimi_async.operations.operation import Operation
from mimi_async.stores import MemoryStore, StoredIdentity
from mimi_async.stores.base import account_digest

from ..doubles import FakeServer, Observer, core_of, set_timeouts, settle
from ..internals import registry_of, supervisor_of
from .change_feeds import MISSED, SharedStore, about, follow, restore_accounts, until
from .stores_for_tests import BEFORE_LOAD


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
async def core(server: FakeServer, shared: SharedStore) -> AsyncIterator[MimiCore]:
    async with core_of(server, store=shared, account=None) as core:
        yield core


async def test_no_controller_is_created_for_a_change(core: MimiCore, shared: SharedStore) -> None:
    await follow(core, shared, about("a-1"), MISSED)
    assert list(registry_of(core)) == []
    assert shared.loads == 0


async def test_no_controller_is_kept_alive_by_a_change(server: FakeServer, shared: SharedStore) -> None:
    async with core_of(server, store=shared, account=None, max_idle_controllers=0) as core:
        dropped = weakref.ref(await core.auth_for("a-1"))
        await follow(core, shared, about("a-1"))
        gc.collect()
        assert dropped() is None
        shared.loads = 0
        await follow(core, shared, about("a-1"), MISSED)
        assert shared.loads == 0


async def test_those_that_wait_to_be_asked_may_be_dropped(server: FakeServer, shared: SharedStore) -> None:
    async with core_of(server, store=shared, account=None, max_idle_controllers=0) as core:
        held = await restore_accounts(core, 40)
        shared.loads, shared.pause = 0, asyncio.Event()
        await shared.deliver(MISSED)
        held.clear()
        shared.pause.set()
        await follow(core, shared)
        assert shared.loads == 16


async def test_a_change_does_not_count_as_a_use_of_a_controller(server: FakeServer, shared: SharedStore) -> None:
    async with core_of(server, store=shared, account=None, max_idle_controllers=2) as core:
        oldest = weakref.ref((await restore_accounts(core, 2))[0])
        await follow(core, shared, about("a-0"))
        await core.auth_for("a-2")
        gc.collect()
        assert oldest() is None


async def test_the_controller_of_a_change_is_found_without_a_scan(
    core: MimiCore, shared: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await restore_accounts(core, 100)
    walked: list[object] = []
    for owner, name in (
        (ControllerRegistry, "__iter__"),
        (ControllerRegistry, "digests"),
        (registry, "account_digest"),
    ):
        monkeypatch.setattr(owner, name, walked.append)
    shared.loads = 0
    await follow(core, shared, about("a-7"))
    assert (walked, shared.loads) == ([], 1)


async def test_a_controller_that_was_evicted_and_created_again_is_refreshed(
    server: FakeServer, shared: SharedStore
) -> None:
    async with core_of(server, store=shared, account=None, max_idle_controllers=0) as core:
        await core.auth_for("a-1")
        gc.collect()
        auth = await core.auth_for("a-1")
        assert registry_of(core).by_digest(account_digest("a-1")) is auth
        assert registry_of(core).digests() == [account_digest("a-1")]


async def test_the_app_s_own_account_is_asked(server: FakeServer, shared: SharedStore) -> None:
    async with core_of(server, store=shared) as core:
        shared.loads = 0
        await follow(core, shared, about("default"))
        await follow(core, shared, MISSED)
        assert shared.loads == 2


async def test_a_thousand_that_have_missed_something_do_not_ask_all_at_once(
    core: MimiCore, shared: SharedStore
) -> None:
    alive = await restore_accounts(core, 1000)
    shared.loads = shared.most = 0
    shared.pause = asyncio.Event()
    shared.emit(MISSED)
    await shared.feed.join()
    await settle(50)
    assert shared.loads == shared.most == 16
    shared.pause.set()
    await follow(core, shared)
    assert (shared.loads, shared.most) == (len(alive), 16)


async def test_waiting_changes_are_merged(core: MimiCore, shared: SharedStore) -> None:
    auth = (await restore_accounts(core, 1))[0]
    shared.loads, shared.pause = 0, asyncio.Event()
    await shared.deliver(about("a-0"))
    assert shared.loads == 1
    await shared.deliver(*[about("a-0")] * 10, MISSED, *[about("a-0")] * 10)
    assert len(supervisor_of(core).operations) == 2
    shared.pause.set()
    await follow(core, shared)
    assert shared.loads == 2
    assert not auth.is_busy


async def test_a_busy_controller_delays_no_other(server: FakeServer, core: MimiCore, shared: SharedStore) -> None:
    *busy, idle = await restore_accounts(core, 41)
    release = server.hold()
    calls = [asyncio.create_task(auth.ensure_user()) for auth in busy]
    await settle(50)
    shared.emit(MISSED)
    await shared.feed.join()
    await shared.inner.replace(idle.account, None, StoredIdentity.active(server.add_user(), f"{1:032x}"))
    shared.loads = 0
    shared.emit(about(idle.account))
    await shared.feed.join()
    await until(lambda: shared.loads > 0)
    assert not any(call.done() for call in calls)
    release.set()
    await asyncio.gather(*calls)
    await follow(core, shared)
    assert idle.current_user is not None


async def test_one_that_is_busy_does_not_wait_for_those_that_ask(
    server: FakeServer, core: MimiCore, shared: SharedStore
) -> None:
    *_, busy = await restore_accounts(core, 41)
    release = server.hold()
    call = asyncio.create_task(busy.ensure_user())
    await server.asked()
    shared.pause = asyncio.Event()
    await shared.deliver(*(about(f"a-{number}") for number in (*range(16), 40, 20)))
    assert len(supervisor_of(core).operations) == 16 + 2
    shared.pause.set()
    release.set()
    await call


async def test_changes_of_one_account_go_before_missed_ones(core: MimiCore, shared: SharedStore) -> None:
    await restore_accounts(core, 100)
    shared.loads, shared.pause = 0, asyncio.Event()
    asked: list[str] = []
    load = shared.inner.load

    async def watched(account: str) -> StoredIdentity | None:
        asked.append(account)
        return await load(account)

    shared.inner.load = watched  # type: ignore[method-assign]
    shared.emit(MISSED)
    await shared.feed.join()
    shared.emit(about("a-98"), about("a-99"))
    await shared.feed.join()
    shared.pause.set()
    await follow(core, shared)
    assert asked.index("a-98") < 32
    assert asked.index("a-99") < 32
    assert sorted(asked) == sorted(f"a-{number}" for number in range(100))


async def test_a_refresh_that_reaches_the_lock_too_late_is_repeated(
    server: FakeServer, core: MimiCore, shared: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = (await restore_accounts(core, 1))[0]
    taken: list[Operation[None]] = []
    refresh = AuthController.refresh

    def watched(auth: AuthController) -> Operation[None]:
        taken.append(refresh(auth))
        return taken[-1]

    monkeypatch.setattr(AuthController, "refresh", watched)
    release = server.hold()
    call = asyncio.create_task(auth.ensure_user())
    await server.asked()
    set_timeouts(core, call=0.05)
    shared.emit(about("a-0"))
    await until(lambda: len(taken) >= 3)
    assert not any(notice.has_entered for notice in taken)
    set_timeouts(core, call=30.0)
    shared.loads = 0
    release.set()
    user = await call
    await follow(core, shared)
    assert shared.loads >= 1
    assert auth.current_user == user


async def test_a_store_without_a_feed_costs_nothing(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(registry, "account_digest", hashed.append)
    async with core_of(server, store=MemoryStore()) as core:
        await restore_accounts(core, 3)
        assert registry_of(core).digests() == []
        assert registry_of(core).by_digest(b"") is None
        await settle()
        assert supervisor_of(core).is_idle
    assert hashed == []


Move = Callable[[AuthController], Awaitable[object]]


@pytest.mark.parametrize("seed", range(5))
async def test_processes_agree_in_the_end_whatever_happens(server: FakeServer, seed: int) -> None:
    """Three processes do what they like, and the store fails now and then; each chain stays whole."""
    dice = random.Random(seed)
    all_shared: list[SharedStore] = []
    inner = MemoryStore()
    others = [server.add_user(number) for number in (1, 2, 3)]
    moves: list[Move] = [
        lambda auth: auth.ensure_user(),
        lambda auth: auth.log_out(),
        lambda auth: auth.reset(),
        lambda auth: auth.update_user(sex=dice.choice(["male", "female"])),
        lambda auth: auth.authenticate(LogInAnonymously(dice.choice(others))),
    ]

    async def fail() -> None:
        raise TimeoutError

    cores = [core_of(server, store=SharedStore(inner, all_shared)) for _ in range(3)]
    observers = [Observer() for _ in cores]
    for core, observer in zip(cores, observers, strict=True):
        core.observe(observer)
    async with cores[0], cores[1], cores[2]:
        for _ in range(60):
            if not dice.randrange(8):
                dice.choice(all_shared).at(BEFORE_LOAD, fail)
            calls = [dice.choice(moves)(core.auth) for core in dice.sample(cores, dice.randrange(1, 4))]
            for outcome in await asyncio.gather(*calls, return_exceptions=True):
                assert outcome is None or isinstance(outcome, (MimiUser, MimiError))
        for shared in all_shared:
            shared.clear_faults()
            shared.emit(MISSED)
        for core, shared in zip(cores, all_shared, strict=True):
            await follow(core, shared)
        ids = {core.auth.current_user and core.auth.current_user.anonymous_id for core in cores}
        record = await inner.load("default")
        if record is not None and record.state == "active":
            assert ids == {record.anonymous_id}
        else:
            assert ids == {None}
    for observer in observers:
        observer.assert_chained()
