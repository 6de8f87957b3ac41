"""News for many controllers: who is asked, how many at once, and what it costs those whom they do not concern."""

import asyncio
import gc
import random
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from mimi_async import AuthController, LogInAnonymously, MimiCore, MimiError, MimiUser
from mimi_async.auth import controllers
from mimi_async.auth.controllers import Controllers
from mimi_async.auth.heeding import Notice
from mimi_async.stores import MemoryStore, StoredIdentity
from mimi_async.stores.base import account_digest

from ..doubles import FakeServer, News, core_of, settle
from .stores_for_tests import BEFORE_LOAD
from .telling import MISSED, Door, about, heeded, restored, until


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def door() -> Door:
    return Door(MemoryStore(), [])


@pytest.fixture
async def core(server: FakeServer, door: Door) -> AsyncIterator[MimiCore]:
    async with core_of(server, store=door, account=None) as core:
        yield core


# Who is asked --------------------------------------------------------------------------------------------------------


async def test_no_controller_is_made_for_news(core: MimiCore, door: Door) -> None:
    door.tell(about("a-1"), MISSED)
    await heeded(core, door)
    assert list(core._controllers) == []
    assert door.loads == 0


async def test_no_controller_is_kept_alive_by_news(server: FakeServer, door: Door) -> None:
    async with core_of(server, store=door, account=None, keep=0) as core:
        dropped = weakref.ref(await core.auth_for("a-1"))
        door.tell(about("a-1"))
        await heeded(core, door)
        gc.collect()
        assert dropped() is None
        door.loads = 0
        door.tell(about("a-1"), MISSED)
        await heeded(core, door)
        assert door.loads == 0


async def test_those_that_wait_to_be_asked_may_be_dropped_meanwhile(server: FakeServer, door: Door) -> None:
    async with core_of(server, store=door, account=None, keep=0) as core:
        held = await restored(core, 40)
        door.loads, door.pause = 0, asyncio.Event()
        door.tell(MISSED)
        await door.news.join()
        await settle()
        held.clear()
        door.pause.set()
        await heeded(core, door)
        assert door.loads == 16


async def test_news_are_no_use_of_a_controller(server: FakeServer, door: Door) -> None:
    async with core_of(server, store=door, account=None, keep=2) as core:
        oldest = weakref.ref((await restored(core, 2))[0])
        door.tell(about("a-0"))
        await heeded(core, door)
        await core.auth_for("a-2")
        gc.collect()
        assert oldest() is None


async def test_the_one_whom_the_news_concern_is_found_without_a_walk(
    core: MimiCore, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await restored(core, 100)
    walked: list[object] = []
    for owner, name in ((Controllers, "__iter__"), (Controllers, "digests"), (controllers, "account_digest")):
        monkeypatch.setattr(owner, name, walked.append)
    door.loads = 0
    door.tell(about("a-7"))
    await heeded(core, door)
    assert (walked, door.loads) == ([], 1)


async def test_a_controller_that_was_dropped_and_made_anew_is_the_one_that_is_asked(
    server: FakeServer, door: Door
) -> None:
    async with core_of(server, store=door, account=None, keep=0) as core:
        await core.auth_for("a-1")
        gc.collect()
        auth = await core.auth_for("a-1")
        assert core._controllers.find(account_digest("a-1")) is auth
        assert core._controllers.digests() == [account_digest("a-1")]


async def test_the_app_s_own_account_is_asked(server: FakeServer, door: Door) -> None:
    async with core_of(server, store=door) as core:
        door.loads = 0
        door.tell(about("default"))
        await heeded(core, door)
        door.tell(MISSED)
        await heeded(core, door)
        assert door.loads == 2


# How many at once ----------------------------------------------------------------------------------------------------


async def test_a_thousand_that_have_missed_something_do_not_ask_all_at_once(core: MimiCore, door: Door) -> None:
    alive = await restored(core, 1000)
    door.loads = door.most = 0
    door.pause = asyncio.Event()
    door.tell(MISSED)
    await door.news.join()
    await settle(50)
    assert door.loads == door.most == 16
    door.pause.set()
    await heeded(core, door)
    assert (door.loads, door.most) == (len(alive), 16)


async def test_news_that_wait_are_merged(core: MimiCore, door: Door) -> None:
    auth = (await restored(core, 1))[0]
    door.loads, door.pause = 0, asyncio.Event()
    door.tell(about("a-0"))
    await door.news.join()
    await settle()
    assert door.loads == 1
    door.tell(*[about("a-0")] * 10, MISSED, *[about("a-0")] * 10)  # the first ask again: the record was read before
    await door.news.join()
    await settle()
    assert len(core._turns._turns) == 2
    door.pause.set()
    await heeded(core, door)
    assert door.loads == 2
    assert not auth.is_busy


async def test_one_that_is_busy_keeps_nobody_waiting(server: FakeServer, core: MimiCore, door: Door) -> None:
    *busy, idle = await restored(core, 41)
    server.hold()
    calls = [asyncio.create_task(auth.ensure_user()) for auth in busy]
    await settle(50)
    door.tell(MISSED)
    await door.news.join()
    await door.inner.replace(idle.account, None, StoredIdentity.active(server.add_user(), f"{1:032x}"))
    door.loads = 0
    door.tell(about(idle.account))
    await door.news.join()
    await until(lambda: door.loads > 0)
    assert not any(call.done() for call in calls)
    server._held.set()  # type: ignore[union-attr]  # it was held above
    await asyncio.gather(*calls)
    await heeded(core, door)
    assert idle.current_user is not None


async def test_one_that_is_busy_does_not_wait_for_those_that_ask(
    server: FakeServer, core: MimiCore, door: Door
) -> None:
    *_, busy = await restored(core, 41)
    server.hold()
    call = asyncio.create_task(busy.ensure_user())
    await server.asked()
    door.pause = asyncio.Event()
    door.tell(*(about(f"a-{number}") for number in (*range(16), 40, 20)))
    await door.news.join()
    await settle()
    assert len(core._turns._turns) == 16 + 2
    door.pause.set()
    server._held.set()  # type: ignore[union-attr]  # it was held above
    await call


async def test_news_of_one_go_before_what_was_missed(core: MimiCore, door: Door) -> None:
    await restored(core, 100)
    door.loads, door.pause = 0, asyncio.Event()
    asked: list[str] = []
    load = door.inner.load

    async def watched(account: str) -> StoredIdentity | None:
        asked.append(account)
        return await load(account)

    door.inner.load = watched  # type: ignore[method-assign]
    door.tell(MISSED)
    await door.news.join()
    door.tell(about("a-98"), about("a-99"))
    await door.news.join()
    door.pause.set()
    await heeded(core, door)
    assert asked.index("a-98") < 32
    assert asked.index("a-99") < 32
    assert sorted(asked) == sorted(f"a-{number}" for number in range(100))


async def test_a_notice_that_reaches_the_lock_too_late_is_taken_again(
    server: FakeServer, core: MimiCore, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = (await restored(core, 1))[0]
    taken: list[Notice] = []
    heed = AuthController.heed

    def watched(auth: AuthController) -> Notice:
        taken.append(heed(auth))
        return taken[-1]

    monkeypatch.setattr(AuthController, "heed", watched)
    server.hold()
    call = asyncio.create_task(auth.ensure_user())
    await server.asked()
    core._shared.patience = 0.05
    door.tell(about("a-0"))
    await until(lambda: len(taken) >= 3)
    assert not any(notice.has_begun for notice in taken)
    core._shared.patience = 30.0
    door.loads = 0
    server._held.set()  # type: ignore[union-attr]  # it was held above
    user = await call
    await heeded(core, door)
    assert door.loads >= 1
    assert auth.current_user == user


# What it costs -------------------------------------------------------------------------------------------------------


async def test_a_store_that_never_has_news_costs_nothing(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(controllers, "account_digest", hashed.append)
    async with core_of(server, store=MemoryStore()) as core:
        await restored(core, 3)
        assert core._changes is None
        assert core._controllers._by_digest is None
        assert core._controllers.digests() == []
        assert core._controllers.find(b"") is None
        assert not core._turns._tasks
    assert hashed == []


# All together --------------------------------------------------------------------------------------------------------

Move = Callable[[AuthController], Awaitable[object]]


@pytest.mark.parametrize("seed", range(5))
async def test_processes_agree_in_the_end_whatever_happens(server: FakeServer, seed: int) -> None:
    """Three processes do what they like, and the store fails now and then; each chain stays whole."""
    dice = random.Random(seed)
    doors: list[Door] = []
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

    cores = [core_of(server, store=Door(inner, doors)) for _ in range(3)]
    told = [News() for _ in cores]
    for core, news in zip(cores, told, strict=True):
        core.observe(news)
    async with cores[0], cores[1], cores[2]:
        for _ in range(60):
            if not dice.randrange(8):
                dice.choice(doors).at(BEFORE_LOAD, fail)
            calls = [dice.choice(moves)(core.auth) for core in dice.sample(cores, dice.randrange(1, 4))]
            for outcome in await asyncio.gather(*calls, return_exceptions=True):
                assert outcome is None or isinstance(outcome, (MimiUser, MimiError))
        for door in doors:
            door.heal()
            door.tell(MISSED)
        for core, door in zip(cores, doors, strict=True):
            await heeded(core, door)
        ids = {core.auth.current_user and core.auth.current_user.anonymous_id for core in cores}
        record = await inner.load("default")
        if record is not None and record.state == "active":
            assert ids == {record.anonymous_id}
        else:
            assert ids == {None}
    for news in told:
        news.assert_chained()
