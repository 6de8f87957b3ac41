"""A log-out, or a log-in as another user, never removes the only known copy of an id."""

import asyncio
from contextlib import suppress

import pytest

from mimi_async import (
    AnonymousId,
    AuthController,
    ErasedAnonymousIdError,
    LogInAnonymously,
    MimiCore,
    OnlyCopyError,
    ServerBusyError,
    StoreUnavailableError,
    UserUpdate,
)

from ..doubles import Observer, be_quick, set_timeouts, then
from ..internals import controller_of, state_of
from .host_with_ids import Host, core_of
from .launches import ACCOUNT, App, raising, returning

STRANGE_ID = AnonymousId("3f2a0000-0000-4000-8000-00000000cafe")


both = pytest.mark.parametrize("with_known_id", [True, False], ids=["known_id", "observer"])


@both
async def test_a_log_out_waits_until_the_observer_has_written(app: App, host: Host, with_known_id: bool) -> None:
    host.may_write.clear()
    async with core_of(app, host, with_known_id=with_known_id) as core:
        making = asyncio.create_task(core.auth.ensure_user())
        await host.has_begun.wait()
        leaving = asyncio.create_task(core.auth.log_out())
        again = asyncio.create_task(core.auth.ensure_user())
        user = await again
        assert not leaving.done()
        assert (await app.load_record()).anonymous_id == user.anonymous_id
        host.may_write.set()
        await asyncio.gather(making, leaving)
        assert await app.record() is None
    assert host.ids == {ACCOUNT: user.anonymous_id}
    assert app.server.users == 1


async def test_a_user_made_while_the_log_out_waits_for_the_lock_is_kept_until_the_host_has_the_id(
    app: App, host: Host
) -> None:
    async with core_of(app, host, with_known_id=True) as core:
        making = asyncio.create_task(core.auth.ensure_user())
        leaving = asyncio.create_task(core.auth.log_out())
        again = asyncio.create_task(core.auth.ensure_user())
        first, _, second = await asyncio.gather(making, leaving, again)
    assert first == second
    assert app.server.users == 1


@both
async def test_an_observer_that_failed_once_gets_the_update_once_more(
    app: App, host: Host, with_known_id: bool
) -> None:
    host.failures = 1
    async with core_of(app, host, with_known_id=with_known_id) as core:
        user = await core.auth.ensure_user()
        assert not host.ids
        await core.auth.log_out()
        assert host.ids == {ACCOUNT: user.anonymous_id}
        assert core.auth.current_user is None
    assert app.observer.kinds == [(user, None, None), (user, user, None), (None, user, None)]


@both
async def test_an_observer_that_fails_always_keeps_the_record(app: App, host: Host, with_known_id: bool) -> None:
    host.failures = 100
    async with core_of(app, host, with_known_id=with_known_id) as core:
        user = await core.auth.ensure_user()
        with pytest.raises(OnlyCopyError, match=r"log_out\(discard_id=True\)") as caught:
            await core.auth.log_out()
        assert caught.value.retryable
        assert core.auth.current_user == user
        assert (await app.load_record()).anonymous_id == user.anonymous_id
        assert await core.auth.ensure_user() == user
        host.failures = 0
        await core.auth.log_out()
        assert core.auth.current_user is None
    assert host.ids == {ACCOUNT: user.anonymous_id}
    assert app.server.users == 1
    unchanged = (user, user, None)
    assert app.observer.kinds == [(user, None, None), unchanged, unchanged, (None, user, None)]


async def test_without_any_observer_a_log_out_is_refused(app: App) -> None:
    core = MimiCore(app.server.credentials, server=app.server.url, store=app.store, account=ACCOUNT)
    async with core:
        user = await core.auth.ensure_user()
        updates = core.auth.updates()
        with pytest.raises(OnlyCopyError, match="no observer"):
            await core.auth.log_out()
        updates.close()
        assert core.auth.current_user == user
        core.observe(Observer())
        await core.auth.log_out()
        assert core.auth.current_user is None


async def test_an_observer_that_came_later_is_enough(app: App) -> None:
    core = MimiCore(app.server.credentials, server=app.server.url, store=app.store, account=ACCOUNT)
    async with core:
        user = await core.auth.ensure_user()
        observer = Observer()
        core.auth.observe(observer)
        await core.auth.log_out()
    assert observer.updates == [UserUpdate(user, user, None), UserUpdate(None, user, None)]


async def test_one_failing_observer_of_two_keeps_the_record(app: App, host: Host) -> None:
    host.failures = 100
    async with core_of(app, host, with_known_id=False) as core:
        core.observe(Observer())
        await core.auth.ensure_user()
        with pytest.raises(OnlyCopyError):
            await core.auth.log_out()
    assert await app.record() is not None


async def test_discard_id_removes_the_only_copy_knowingly(app: App, host: Host) -> None:
    host.failures = 100
    async with core_of(app, host, with_known_id=True) as core:
        await core.auth.ensure_user()
        await core.auth.log_out(discard_id=True)
        assert core.auth.current_user is None
    assert await app.record() is None


async def test_an_unanswered_known_id_keeps_the_record(app: App) -> None:
    await app.first_launch()
    async with app.core(known_id=raising(ConnectionError())) as core:
        with pytest.raises(StoreUnavailableError):
            await core.auth.log_out()
    assert await app.record() is not None


async def test_another_id_at_the_host_is_not_written_over(app: App) -> None:
    """The id of another product is announced by nothing that a log-out does: the host would overwrite its own."""
    user = await app.first_launch()
    async with app.core(known_id=returning(STRANGE_ID)) as core:
        with pytest.raises(OnlyCopyError, match="another id"):
            await core.auth.log_out()
        assert core.auth.current_user == user
    assert app.observer.kinds == [(user, None, None)]


async def test_a_log_out_within_an_observer_is_refused_and_does_not_wait_for_itself(app: App) -> None:
    caught: list[OnlyCopyError] = []

    async def leave(auth: AuthController, update: UserUpdate) -> None:
        if update.current is not None:
            with pytest.raises(OnlyCopyError) as refused:
                await auth.log_out()
            caught.append(refused.value)

    core = app.core()
    core.observe(then(leave))
    async with core:
        await core.auth.ensure_user()
    assert len(caught) == 1
    assert await app.record() is not None


async def test_a_log_out_whose_deadline_comes_first_keeps_the_record(app: App, host: Host) -> None:
    host.may_write.clear()
    async with core_of(app, host, with_known_id=True) as core:
        making = asyncio.create_task(core.auth.ensure_user())
        await host.has_begun.wait()
        set_timeouts(core, call=0.05)  # the deadline of the next call
        with pytest.raises(OnlyCopyError, match="has not finished"):
            await core.auth.log_out()
        host.may_write.set()
        await making
    assert await app.record() is not None


@both
async def test_a_log_in_as_another_user_keeps_the_record_until_the_host_has_the_id(
    app: App, host: Host, with_known_id: bool
) -> None:
    other = await app.make_user_elsewhere()
    host.failures = 1
    async with core_of(app, host, with_known_id=with_known_id) as core:
        user = await core.auth.ensure_user()
        host.may_write.clear()
        host.has_begun.clear()
        changing = asyncio.create_task(core.auth.authenticate(LogInAnonymously(other.anonymous_id)))
        await host.has_begun.wait()
        assert (await app.load_record()).anonymous_id == user.anonymous_id
        host.may_write.set()
        assert await changing == other
    assert app.observer.kinds == [(user, None, None), (user, user, None), (other, user, None)]


async def test_a_log_in_as_another_user_is_refused_while_the_host_has_no_copy(app: App, host: Host) -> None:
    other = await app.make_user_elsewhere()
    host.failures = 100
    async with core_of(app, host, with_known_id=True) as core:
        user = await core.auth.ensure_user()
        with pytest.raises(OnlyCopyError):
            await core.auth.authenticate(LogInAnonymously(other.anonymous_id))
        assert core.auth.current_user == user
        await core.auth.log_out(discard_id=True)
        assert await core.auth.authenticate(LogInAnonymously(other.anonymous_id)) == other


async def test_a_stored_user_that_was_never_restored_is_announced_before_it_is_replaced(app: App) -> None:
    user = await app.first_launch()
    other = await app.make_user_elsewhere()
    app.server.fail("/v1/sessions", times=3)
    async with app.core(account=None) as core:
        with pytest.raises(ServerBusyError):
            await core.auth_for(ACCOUNT)
        auth = controller_of(core, ACCOUNT)
        assert await auth.authenticate(LogInAnonymously(other.anonymous_id)) == other
    assert [update.current for update in app.observer.updates if update.error is None] == [user, other]


async def test_a_user_erased_on_another_product_is_not_announced_once_more(app: App, host: Host) -> None:
    host.failures = 1
    async with core_of(app, host, with_known_id=True) as core:
        user = await core.auth.ensure_user()
        await app.erase_elsewhere(user)
        await core.auth.log_out()
        assert core.auth.current_user is None
    assert host.ids == {}
    assert app.observer.kinds == [(None, user, ErasedAnonymousIdError)]
    assert await app.record() is None


async def test_an_observer_that_outlives_its_cancellation_has_not_got_the_id(app: App) -> None:
    may_end = asyncio.Event()

    async def swallow(auth: AuthController, update: UserUpdate) -> None:
        while not may_end.is_set():
            with suppress(asyncio.CancelledError):
                await may_end.wait()

    core = be_quick(app.core())
    core.observe(then(swallow))
    set_timeouts(core, call=0.5)  # the deadline of the call, which waits for the delivery until then
    async with core:
        await core.auth.ensure_user()
        copied = state_of(core.auth).copied_id
        may_end.set()
    assert copied is None
