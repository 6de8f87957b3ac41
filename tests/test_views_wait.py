import asyncio
from typing import Any

import pytest

from mimi_async import (
    LogInAnonymously,
    NotStartedError,
    ServerBusyError,
    ServerUnreachableError,
    StoreUnavailableError,
    Timeouts,
    UnknownAnonymousIdError,
    ViewsClosedError,
)
from mimi_async.stores import MemoryStore, StoredIdentity

from .doubles import FakeServer, Observer, an_id, core_of, set_timeouts, settle, store_with, views, whose
from .internals import controller_of

DOWN = ServerUnreachableError("down")
BUSY = ServerBusyError("busy")
FULL = StoreUnavailableError("full")


NO_PAUSE = Timeouts(background_retry_base=0.001, background_retry_cap=0.01)


# on_restore_failure="retry" ------------------------------------------------------------------------------------


async def test_retry_enters_at_once_and_views_wait_until_a_restore_succeeds() -> None:
    server = FakeServer()
    known, observer = server.add_user(), Observer()
    server.script = [DOWN, DOWN, BUSY, BUSY, DOWN]
    release = server.hold()
    async with core_of(server, store=await store_with(known), on_restore_failure="retry", timeouts=NO_PAUSE) as core:
        core.observe(observer)
        waiting = await views(core, 5)
        release.set()
        users = await asyncio.gather(*waiting)
        assert {user.anonymous_id for user in users if user} == {known}
    assert [kind for _, _, kind in observer.kinds] == [
        ServerUnreachableError,
        ServerBusyError,
        ServerUnreachableError,
        None,
    ], "the first failure and each change of its class, then the user"


async def test_retry_ends_with_a_verdict() -> None:
    server = FakeServer()
    async with core_of(
        server, store=await store_with(an_id(404)), on_restore_failure="retry", timeouts=NO_PAUSE
    ) as core:
        with pytest.raises(ViewsClosedError) as caught:
            await core.present(whose)
        assert isinstance(caught.value.__cause__, UnknownAnonymousIdError)
        await settle()
        assert server.requests == ["POST /v1/sessions"]
        await core.auth.start_over()
        assert await core.present(whose) is None


async def test_retry_goes_on_after_a_cancellation_by_host_code() -> None:
    server, calls = FakeServer(), iter([True, False])

    async def known_id(account: str) -> None:
        if next(calls):
            raise asyncio.CancelledError

    async with core_of(server, known_id=known_id, on_restore_failure="retry", timeouts=NO_PAUSE) as core:
        assert await core.present(whose) is None


async def test_retry_ends_when_the_core_is_left() -> None:
    server = FakeServer()
    store = await store_with(server.add_user())
    server.failure = DOWN
    async with core_of(server, store=store, on_restore_failure="retry", timeouts=NO_PAUSE) as core:
        [view] = await views(core, 1)
    with pytest.raises(ViewsClosedError) as caught:
        await view
    assert isinstance(caught.value.__cause__, NotStartedError)
    assert asyncio.all_tasks() == {asyncio.current_task()}


class FickleStore(MemoryStore):
    """A store that, while it is full, puts no record back."""

    is_full = False

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        if self.is_full and new.state == "active":
            raise FULL.copy()
        return await super().replace(account, expected, new)


async def test_retry_ends_once_a_restore_has_succeeded() -> None:
    """What fails later shuts the gate, and the next view makes a new attempt."""
    server, store = FakeServer(), FickleStore()
    async with core_of(server, store=store, on_restore_failure="retry", timeouts=NO_PAUSE) as core:
        await core.present(whose)
        await core.auth.ensure_user()
        server.failure, store.is_full = DOWN, True
        with pytest.raises(ServerUnreachableError):
            await core.auth.reset()
        with pytest.raises(ViewsClosedError):
            await core.present(whose)
        server.failure, store.is_full = None, False
        assert await core.present(whose) == core.auth.current_user
        assert len(server.users) == 1, "the reset that raised is undone"


async def test_a_defect_of_host_code_in_the_restore_leaves_no_view_waiting() -> None:
    async def send(request: object) -> Any:
        return "no reply"

    store = await store_with(an_id(1))
    async with core_of(FakeServer(), send=send, store=store, on_restore_failure="retry", timeouts=NO_PAUSE) as core:
        with pytest.raises(ViewsClosedError):
            await core.present(whose)


# present(account=) ---------------------------------------------------------------------------------------------------


async def test_one_new_attempt_is_shared_by_all_waiters_after_a_retryable_failure() -> None:
    server = FakeServer()
    known = server.add_user()
    async with core_of(server, store=await store_with(known, "a"), account=None) as core:
        server.script = [DOWN]
        with pytest.raises(ViewsClosedError) as caught:
            await core.present(whose, account="a")
        assert isinstance(caught.value.__cause__, ServerUnreachableError)
        users = await asyncio.gather(*(core.present(whose, account="a") for _ in range(50)))
        assert {user.anonymous_id for user in users if user} == {known}
        assert len(server.requests) == 2


async def test_waiters_of_one_restore_share_its_verdict_each_with_an_exception_of_its_own() -> None:
    server = FakeServer()
    async with core_of(server, store=await store_with(an_id(404), "a"), account=None) as core:
        errors = await asyncio.gather(*(core.auth_for("a") for _ in range(50)), return_exceptions=True)
        assert {type(error) for error in errors} == {UnknownAnonymousIdError}
        assert len({id(error) for error in errors}) == 50
        assert server.requests == ["POST /v1/sessions"]
        with pytest.raises(ViewsClosedError):
            await core.present(whose, account="a")
        assert server.requests == ["POST /v1/sessions"], "a verdict is not asked for again"


async def test_a_failed_restore_of_one_account_shuts_no_view_of_another() -> None:
    server = FakeServer()
    async with core_of(server, store=await store_with(an_id(404), "a")) as core:
        with pytest.raises(ViewsClosedError):
            await core.present(whose, account="a")
        assert await core.present(whose) is None
        assert await core.present(whose, account="b") is None


async def test_a_waiter_beyond_its_deadline_shuts_no_view_of_another() -> None:
    server = FakeServer()
    async with core_of(server, store=await store_with(server.add_user(), "a"), account=None) as core:
        release = server.hold()
        early = asyncio.create_task(core.present(whose, account="a"))
        await server.asked()
        set_timeouts(core, call=0.0)
        with pytest.raises(ViewsClosedError):
            await core.present(whose, account="a")
        assert controller_of(core, "a").gate.cause is None
        set_timeouts(core, call=30.0)
        release.set()
        assert await early is not None
        assert await core.present(whose, account="a") is not None


async def test_a_failed_log_in_before_the_restore_opens_no_gate() -> None:
    server = FakeServer()
    async with core_of(server, account=None) as core:
        auth = controller_of(core, "a")
        server.failure = DOWN
        with pytest.raises(ServerUnreachableError):
            await auth.authenticate(LogInAnonymously(an_id(1)))
        assert not auth.gate.is_open
