"""`on_restore_failure="keep_trying"` goes on when news leave it unknown who the user is."""

import asyncio

import pytest

from mimi_async import (
    MimiUser,
    StoreUnavailableError,
    UnknownAnonymousIdError,
    ViewsClosedError,
    startup,
)
from mimi_async.testing import IdentityServer

from ..doubles import settle, whose
from .launches import raising
from .stores_for_tests import BEFORE_LOAD
from .telling import HERS, Neighbours, Process, until
from .test_keep_trying import Pauses

DOWN = StoreUnavailableError("down")


@pytest.fixture
def here(server: IdentityServer) -> Process:
    return Neighbours(server).app()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    pauses = Pauses()
    monkeypatch.setattr(startup.keep_restoring, "__kwdefaults__", {"sleep": pauses.sleep})
    return pauses


@pytest.fixture
async def user(here: Process) -> MimiUser:
    return await here.first_launch()


async def test_an_own_account_that_keeps_trying_is_restored_again_and_releases_who_waits(
    here: Process, user: MimiUser, pauses: Pauses
) -> None:
    async with here.core(on_restore_failure="keep_trying") as core:
        assert await core.present(whose) == user
        for _ in range(2):
            here.forget_the_past()
            here.store.at(BEFORE_LOAD, raising(DOWN), times=3)
            here.store.tell(HERS)
            await pauses.next_try_has_failed()
            presented = asyncio.create_task(core.present(whose))
            pauses.end()
            await pauses.next_try_has_failed()
            assert not core.auth.gate.is_decided
            assert not presented.done()
            pauses.end()
            assert await presented == user
            assert here.news.kinds == [(user, user, StoreUnavailableError)]


async def test_a_verdict_ends_that_trying_too(here: Process, user: MimiUser, pauses: Pauses) -> None:
    async with here.core(on_restore_failure="keep_trying") as core:
        assert await core.present(whose) == user
        here.store.at(BEFORE_LOAD, raising(DOWN), times=2)
        here.store.tell(HERS)
        await pauses.next_try_has_failed()
        presented = asyncio.create_task(core.present(whose))
        await settle()
        here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
        pauses.end()
        with pytest.raises(ViewsClosedError) as caught:
            await presented
        assert isinstance(caught.value.__cause__, UnknownAnonymousIdError)
        await settle()
        assert not core.auth.keeps_trying


async def test_an_account_lost_while_the_trying_ends_is_tried_again(
    here: Process, user: MimiUser, pauses: Pauses
) -> None:
    """The trying waits for the observers of its restore; what is lost meanwhile must not be left for ever."""
    told, go_on = asyncio.Event(), asyncio.Event()

    async def slow(sender: object, /, **update: object) -> None:
        if not told.is_set():
            told.set()
            await go_on.wait()

    core = here.core(on_restore_failure="keep_trying")
    core.observe(slow)
    async with core:
        await told.wait()
        here.store.at(BEFORE_LOAD, raising(DOWN), times=2)
        here.store.tell(HERS)
        await until(lambda: not core.auth.is_restored)
        presented = asyncio.create_task(core.present(whose))
        await settle()
        go_on.set()
        await pauses.next_try_has_failed()
        assert not presented.done()
        pauses.end()
        assert await presented == user


async def test_leaving_ends_that_trying(here: Process, user: MimiUser, pauses: Pauses) -> None:
    core = here.core(on_restore_failure="keep_trying")
    core._turns.grace = 3600.0
    async with asyncio.timeout(30), core:
        await core.present(whose)
        here.store.at(BEFORE_LOAD, raising(DOWN), times=100)
        here.store.tell(HERS)
        await pauses.next_try_has_failed()
        presented = asyncio.create_task(core.present(whose))
        await settle()
    with pytest.raises(ViewsClosedError):
        await presented
