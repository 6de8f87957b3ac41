"""Orders of calls in which the host's copy of an id is older, or newer, than it seems."""

import asyncio

import pytest

from mimi_async import (
    AnonymousId,
    AuthController,
    LogInAnonymously,
    OnlyCopyError,
    StoreConflictError,
    UnknownAnonymousIdError,
    UserUpdate,
    ViewsClosedError,
)

from ..doubles import settle, then, whose
from ..internals import state_of
from .host_with_ids import Host, core_of
from .launches import ACCOUNT, App

SESSIONS = "/v1/sessions"
UNKNOWN = "unknown-anonymous-id"


@pytest.mark.parametrize("with_known_id", [True, False], ids=["known_id", "observer"])
async def test_a_rejected_id_without_a_copy_is_asked_about_before_it_is_replaced(
    app: App, host: Host, with_known_id: bool
) -> None:
    other = await app.make_user_elsewhere()
    host.failures = 3
    async with core_of(app, host, with_known_id=with_known_id) as core:
        user = await core.auth.ensure_user()
        await app.force_out(core, times=1)
        host.failures = 0
        written: list[AnonymousId] = []

        async def note(auth: AuthController, update: UserUpdate) -> None:
            written.extend(host.ids.values())

        core.observe(then(note))
        assert await core.auth.authenticate(LogInAnonymously(other.anonymous_id)) == other
    assert user.anonymous_id in written, "the host got the id before the store lost it"


async def test_a_rejected_id_is_not_replaced_by_another_unknown_id(app: App, host: Host) -> None:
    other = await app.make_user_elsewhere()
    host.failures = 100
    async with core_of(app, host, with_known_id=False) as core:
        await core.auth.ensure_user()
        await app.force_out(core, times=1)
        rejected = (await app.load_record()).anonymous_id
        async with app.core(store=app.store.inner, account="other"):
            app.server.fail(SESSIONS, problem=UNKNOWN, times=None)
        with pytest.raises(UnknownAnonymousIdError):
            await core.auth.authenticate(LogInAnonymously(other.anonymous_id))
        app.server.clear_faults()
    assert (await app.load_record()).anonymous_id == rejected, "a server that knows neither id replaces none"


async def test_a_copy_of_an_earlier_log_in_does_not_count(app: App, host: Host) -> None:
    """The host has A, then B; the log-out of A waits for the update that brings A back to the host."""
    other = await app.make_user_elsewhere()
    async with core_of(app, host, with_known_id=False) as core:
        user = await core.auth.ensure_user()
        host.may_write.clear()
        calls = [
            core.auth.authenticate(LogInAnonymously(other.anonymous_id)),
            core.auth.log_out(discard_id=True),
            core.auth.authenticate(LogInAnonymously(user.anonymous_id)),
            core.auth.log_out(),
        ]
        tasks = [asyncio.create_task(call) for call in calls]
        await host.has_begun.wait()
        await settle(200)
        assert not tasks[-1].done()
        host.may_write.set()
        await asyncio.gather(*tasks)
    assert host.ids == {ACCOUNT: user.anonymous_id}


async def test_an_announcement_that_is_owed_is_made_although_the_host_holds_another_id(app: App, host: Host) -> None:
    other = await app.make_user_elsewhere()
    async with core_of(app, host, with_known_id=True) as core:
        await core.auth.ensure_user()
        host.failures = 1
        await core.auth.authenticate(LogInAnonymously(other.anonymous_id))
        await core.auth.log_out()
    assert host.ids == {ACCOUNT: other.anonymous_id}


async def test_a_copy_that_start_over_dropped_in_vain_is_given_back(app: App, host: Host) -> None:
    async with core_of(app, host, with_known_id=False) as core:
        user = await core.auth.ensure_user()
    app.server.fail(SESSIONS, problem=UNKNOWN, times=2)
    async with core_of(app, host, with_known_id=False) as core:

        async def drop(anonymous_id: AnonymousId | None) -> None:
            async with app.core():  # another process finds that the server knows the id again
                del host.ids[ACCOUNT]

        with pytest.raises(StoreConflictError):
            await core.auth.start_over(drop=drop)
        assert core.auth.current_user == user
    assert host.ids == {ACCOUNT: user.anonymous_id}


async def test_a_task_that_an_observer_started_may_log_out_after_the_delivery(app: App) -> None:
    may_go = asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    async def later(auth: AuthController) -> None:
        await may_go.wait()
        await auth.log_out()

    async def start(auth: AuthController, update: UserUpdate) -> None:
        if not tasks:
            tasks.append(asyncio.create_task(later(auth)))
            raise ConnectionError

    core = app.core()
    core.observe(then(start))
    async with core:
        await core.auth.ensure_user()
        may_go.set()
        await tasks[0]
        assert core.auth.current_user is None


async def test_many_calls_after_a_forced_log_out_do_not_grow_the_interval(app: App) -> None:
    await app.first_launch()
    async with app.core() as core:
        await app.force_out(core)
        for _ in range(5):
            with pytest.raises(UnknownAnonymousIdError):
                await core.auth.ensure_user()
        assert state_of(core.auth).recheck_interval == 5.0
        with pytest.raises(ViewsClosedError):
            await core.present(whose)


async def test_a_log_in_within_an_observer_over_a_rejected_id_that_is_known_again_is_refused(app: App) -> None:
    other = await app.make_user_elsewhere()
    await app.first_launch()
    app.server.fail(SESSIONS, problem=UNKNOWN, times=1)
    caught: list[BaseException] = []

    async def switch(auth: AuthController, update: UserUpdate) -> None:
        if update.error is not None:
            with pytest.raises(OnlyCopyError) as refused:
                await auth.authenticate(LogInAnonymously(other.anonymous_id))
            caught.append(refused.value)

    core = app.core()
    core.observe(then(switch))
    async with core:
        assert len(caught) == 1
