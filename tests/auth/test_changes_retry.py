"""`on_restore_failure="retry"` starts again when a change leaves the user unknown."""

import asyncio

import pytest

from mimi_async import MimiUser, StoreUnavailableError, UnknownAnonymousIdError, ViewsClosedError

from ..doubles import set_timeouts, settle, whose
from ..internals import context_of
from .change_feeds import CHANGED, Process, until
from .launches import Pauses, raising
from .stores_for_tests import BEFORE_LOAD

DOWN = StoreUnavailableError("down")


@pytest.fixture
async def user(here: Process) -> MimiUser:
    return await here.first_launch()


async def test_a_retried_account_is_restored_again_and_releases_the_waiters(
    here: Process, user: MimiUser, pauses: Pauses
) -> None:
    async with here.core(on_restore_failure="retry") as core:
        assert await core.present(whose) == user
        for _ in range(2):
            here.clear_records()
            here.store.at(BEFORE_LOAD, raising(DOWN), times=3)
            here.store.emit(CHANGED)
            await pauses.wait_started()
            presented = asyncio.create_task(core.present(whose))
            pauses.end()
            await pauses.wait_started()
            assert not core.auth.gate.is_decided
            assert not presented.done()
            pauses.end()
            assert await presented == user
            assert here.observer.kinds == [(user, user, StoreUnavailableError)]


async def test_a_verdict_ends_these_retries_too(here: Process, user: MimiUser, pauses: Pauses) -> None:
    async with here.core(on_restore_failure="retry") as core:
        assert await core.present(whose) == user
        here.store.at(BEFORE_LOAD, raising(DOWN), times=2)
        here.store.emit(CHANGED)
        await pauses.wait_started()
        presented = asyncio.create_task(core.present(whose))
        await settle()
        here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
        pauses.end()
        with pytest.raises(ViewsClosedError) as caught:
            await presented
        assert isinstance(caught.value.__cause__, UnknownAnonymousIdError)
        await settle()
        assert context_of(core).retried is None


async def test_an_account_invalidated_while_the_retries_end_is_retried(
    here: Process, user: MimiUser, pauses: Pauses
) -> None:
    """A retry waits for the observers of its restore; an account that is invalidated during that must be retried."""
    has_begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(sender: object, /, **update: object) -> None:
        if not has_begun.is_set():
            has_begun.set()
            await go_on.wait()

    core = here.core(on_restore_failure="retry")
    core.observe(slow)
    async with core:
        await has_begun.wait()
        here.store.at(BEFORE_LOAD, raising(DOWN), times=2)
        here.store.emit(CHANGED)
        await until(lambda: not core.auth.is_restored)
        presented = asyncio.create_task(core.present(whose))
        await settle()
        go_on.set()
        await pauses.wait_started()
        assert not presented.done()
        pauses.end()
        assert await presented == user


async def test_leaving_ends_these_retries(here: Process, user: MimiUser, pauses: Pauses) -> None:
    core = here.core(on_restore_failure="retry")
    set_timeouts(core, shutdown=3600.0)
    async with asyncio.timeout(30), core:
        await core.present(whose)
        here.store.at(BEFORE_LOAD, raising(DOWN), times=100)
        here.store.emit(CHANGED)
        await pauses.wait_started()
        presented = asyncio.create_task(core.present(whose))
        await settle()
    with pytest.raises(ViewsClosedError):
        await presented
