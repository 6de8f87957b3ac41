import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

import pytest

from mimi_async import (
    AuthController,
    ConfigurationError,
    CredentialsRejectedError,
    MimiCore,
    MimiError,
    NotStartedError,
    ServerBusyError,
    ServerUnreachableError,
    StartupError,
    StoreCorruptError,
    StoreUnavailableError,
    Timeouts,
    ViewsClosedError,
)
from mimi_async.stores import MemoryStore, StoredIdentity

from .doubles import FakeServer, core_of, store_with, then, views, whose

DOWN = ServerUnreachableError("down")
BUSY = ServerBusyError("busy")


class BrokenStore(MemoryStore):
    """Fails to open or to close."""

    def __init__(self, *, opening: Exception | None = None, closing: Exception | None = None) -> None:
        super().__init__()
        self.opening, self.closing = opening, closing

    async def __aenter__(self) -> Self:
        if self.opening is not None:
            raise self.opening
        await super().__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await super().__aexit__()
        if self.closing is not None:
            raise self.closing


# on_restore_failure="raise" ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [StoreUnavailableError("locked"), RuntimeError("a driver's own: secret")])
async def test_a_store_that_does_not_open_fails_the_start_in_its_phase(failure: Exception) -> None:
    core = core_of(FakeServer(), store=BrokenStore(opening=failure))
    with pytest.raises(StartupError, match="store") as caught:
        await core.__aenter__()
    assert "secret" not in str(caught.value)
    assert caught.value.phase == "store"
    assert isinstance(caught.value.__cause__, StoreUnavailableError)


@pytest.mark.parametrize("failure", [DOWN, CredentialsRejectedError("no"), StoreCorruptError("all of it")])
async def test_a_restore_that_fails_without_a_verdict_about_the_record_fails_the_start(failure: MimiError) -> None:
    server = FakeServer()
    store = await store_with(server.add_user())
    server.failure = failure
    core = core_of(server, store=store)
    waiting = await views(core)
    with pytest.raises(StartupError) as caught:
        await core.__aenter__()
    assert caught.value.phase == "restore"
    assert type(caught.value.__cause__) is type(failure)
    assert not store.is_entered, "what was opened is closed"
    for view in waiting:
        with pytest.raises(ViewsClosedError) as closed:
            await view
        assert isinstance(closed.value.__cause__, StartupError)
    with pytest.raises(NotStartedError):
        await core.auth.ensure_user()


async def test_a_store_that_fails_to_close_does_not_hide_why_the_start_failed() -> None:
    server = FakeServer()
    store = BrokenStore(closing=OSError("disk gone"))
    await store.claim("default", StoredIdentity(state="active", secret=server.add_user(), user_id=None))
    server.failure = DOWN
    with pytest.raises(StartupError):
        await core_of(server, store=store).__aenter__()


async def test_a_failed_start_ends_iterations_over_updates() -> None:
    server = FakeServer()
    core = core_of(server, store=await store_with(server.add_user()))
    server.failure = DOWN
    updates = core.auth.updates()
    with pytest.raises(StartupError):
        await core.__aenter__()
    assert [type(update.error) async for update in updates] == [ServerUnreachableError]


async def test_a_cancelled_start_goes_through_at_once_where_nothing_answers() -> None:
    server = FakeServer()
    store = await store_with(server.add_user())
    server.hold()
    core = core_of(server, store=store, timeouts=Timeouts(shutdown=3600.0))
    start = asyncio.create_task(core.__aenter__())
    [view] = await views(core, 1)
    await server.asked()
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):
            await start
    with pytest.raises(ViewsClosedError, match="was cancelled"):
        await view
    assert not store.is_entered
    assert (await store.load("default")) is not None


# The start and its observers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("account", [None, "a-17"])
async def test_a_receiver_of_the_first_update_may_present_a_view(account: str | None) -> None:
    server, seen = FakeServer(), list[str]()

    async def view(auth: AuthController) -> None:
        seen.append(auth.account)

    core = core_of(server, store=await store_with(server.add_user()))
    core.observe(then(lambda _, __: core.present(view, account=account)))
    async with asyncio.timeout(10), core:
        assert seen == [account or "default"]


CALLS: list[Callable[[MimiCore], Awaitable[object]]] = [
    lambda core: core.present(whose),
    lambda core: core.auth.ensure_user(),
    lambda core: core.auth_for("default"),
]


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_from_within_its_own_restore_is_refused_at_once(
    call: Callable[[MimiCore], Awaitable[object]],
) -> None:
    async def known_id(account: str) -> None:
        await call(core)

    core = core_of(FakeServer(), known_id=known_id)
    async with asyncio.timeout(10):
        with pytest.raises(StartupError) as caught:
            await core.__aenter__()
    assert isinstance(caught.value.__cause__, ConfigurationError)


async def test_known_id_may_present_a_view_of_another_account_while_the_core_starts() -> None:
    async def known_id(account: str) -> None:
        if account == "default":
            await core.present(whose, account="a-17")

    core = core_of(FakeServer(), known_id=known_id)
    async with asyncio.timeout(10), core:
        assert core.auth.current_user is None
