"""Launches of an app on one server and one store, and the updates of its observer."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import attrs
import pytest

from mimi_async import (
    Audiogram,
    AuthController,
    ErasedAnonymousIdError,
    ForciblyLoggedOutError,
    HearingTestResult,
    LogInAnonymously,
    MimiCore,
    MimiError,
    MimiUser,
    NotRestoredError,
    StartupError,
    Timeouts,
    ViewsClosedError,
)
from mimi_async.stores import MemoryStore, StoredIdentity
from mimi_async.testing import IdentityServer

from ..doubles import Observer, whose
from ..internals import controller_of
from .stores_for_tests import WatchedStore

ACCOUNT = "a-17"

QUIET = Audiogram(dict.fromkeys((250, 500, 1000, 2000, 4000, 8000), 15.0))


def a_test(minute: int = 0) -> HearingTestResult:
    taken_at = dt.datetime(2026, 3, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=minute)
    return HearingTestResult(taken_at=taken_at, calibrated=False, left=QUIET, right=QUIET)


Entry = Literal["start", "auth_for", "present"]
ENTRIES: tuple[Entry, ...] = ("start", "auth_for", "present")


@attrs.define(eq=False)
class App:
    """An app of a partner, that can be launched again and again on the same server and the same store."""

    server: IdentityServer
    store: WatchedStore
    observer: Observer = attrs.field(factory=Observer)
    timeouts: Timeouts = attrs.field(factory=lambda: Timeouts(retry_base=0.0))  # no wait between two attempts

    def core(self, **settings: Any) -> MimiCore:
        """A core for one launch, with an observer."""
        defaults: dict[str, Any] = {
            "credentials": self.server.credentials,
            "server": self.server.url,
            "store": self.store,
            "account": ACCOUNT,
            "timeouts": self.timeouts,
        }
        core = MimiCore(**{**defaults, **settings})
        core.observe(self.observer)
        return core

    async def first_launch(self) -> MimiUser:
        """Create a user with a profile; clear what was recorded on the way."""
        async with self.core() as core:
            await core.auth.ensure_user()
            user = await core.auth.update_user(year_of_birth=1980)
        self.clear_records()
        return user

    def clear_records(self) -> None:
        """Clear what was recorded."""
        self.store.writes.clear()
        self.observer.updates.clear()
        self.asked_before = len(self.server.requests)

    asked_before: int = 0

    @property
    def asked(self) -> list[tuple[str, str]]:
        """What the server was asked since `clear_records`."""
        return [(asked.method, asked.path) for asked in list(self.server.requests)[self.asked_before :]]

    async def record(self) -> StoredIdentity | None:
        """What the store holds."""
        return await self.store.inner.load(ACCOUNT)

    async def load_record(self) -> StoredIdentity:
        """Return the record, which exists."""
        record = await self.record()
        assert record is not None
        return record

    async def assert_stored(self, state: str, user: MimiUser) -> None:
        """Check that the record is the one of a user, in this state."""
        record = await self.load_record()
        assert (record.state, record.secret, record.user_id) == (state, user.anonymous_id, user.id)

    async def put(self, record: StoredIdentity) -> StoredIdentity:
        """Store a record in place of what is there."""
        assert await self.store.inner.replace(ACCOUNT, await self.record(), record) is record
        return record

    async def put_state(self, state: Literal["active", "rejected", "erasing"]) -> StoredIdentity:
        """Store the record in another state."""
        return await self.put((await self.load_record()).with_state(state))

    async def put_user(self, user: MimiUser) -> StoredIdentity:
        """Store an active record of a user."""
        return await self.put(StoredIdentity.active(user.anonymous_id, user.id))

    async def forget_record(self) -> None:
        """Delete the record, as another process does."""
        assert await self.store.inner.forget(ACCOUNT, await self.record()) is None

    async def force_out(self, core: MimiCore, *, times: int | None = None) -> None:
        """Let the server not know the user of a core, this many times."""
        self.server.revoke_tokens()
        self.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=times)
        with pytest.raises(ForciblyLoggedOutError):
            await core.auth.reload_user()

    def product(self) -> MimiCore:
        """Return a core of another product of the partner, with a store of its own."""
        return self.core(store=MemoryStore(), credentials=self.server.new_client())

    async def make_user_elsewhere(self) -> MimiUser:
        """Create a user with a profile on another product; clear what was recorded on the way."""
        async with self.product() as product:
            await product.auth.ensure_user()
            user = await product.auth.update_user(year_of_birth=1970)
        self.clear_records()
        return user

    async def erase_elsewhere(self, user: MimiUser) -> None:
        """Erase a user on another product; clear what was recorded on the way."""
        async with self.product() as product:
            await product.auth.authenticate(LogInAnonymously(user.anonymous_id))
            await product.auth.reset()
        self.clear_records()

    @property
    def erased_id(self) -> object:
        """The id that the last update delivers as erased."""
        error = self.observer.updates[-1].error
        assert isinstance(error, ErasedAnonymousIdError)
        return error.anonymous_id

    @asynccontextmanager
    async def restore(self, entry: Entry, **settings: Any) -> AsyncIterator["Restored"]:
        """Restore by one of the entries, and stay in the core while it is open."""
        core = self.core(**{"account": ACCOUNT if entry == "start" else None, **settings})
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(core)
            except StartupError as failure:
                yield Restored(core, core.auth, _cause(failure), has_started=False, phase=failure.phase)
                return
            restore = {"start": _settled, "auth_for": _auth_for, "present": _presented}[entry]
            error = await restore(core)
            yield Restored(core, controller_of(core, ACCOUNT), error)


@attrs.define(eq=False)
class Restored:
    """The core, its controller and its error after a restore."""

    core: MimiCore
    auth: AuthController
    error: MimiError | None
    has_started: bool = True
    phase: str | None = None

    def assert_open(self, user: MimiUser | None) -> None:
        """The restore has succeeded, and views may run."""
        assert self.error is None
        assert self.auth.gate.is_open
        assert self.auth.current_user == user

    def assert_shut(self) -> None:
        """Nothing is known, and no view may run."""
        assert self.phase == (None if self.has_started else "restore")
        assert not self.auth.gate.is_open
        with pytest.raises(NotRestoredError) as caught:
            _ = self.auth.current_user
        assert type(caught.value.__cause__) is type(self.error)


async def _settled(core: MimiCore) -> MimiError | None:
    assert core.auth.gate.is_decided
    return core.auth.gate.cause


async def _auth_for(core: MimiCore) -> MimiError | None:
    try:
        auth = await core.auth_for(ACCOUNT)
    except MimiError as error:
        return error
    assert auth is controller_of(core, ACCOUNT)
    return None


async def _presented(core: MimiCore) -> MimiError | None:
    try:
        await core.present(whose, account=ACCOUNT)
    except ViewsClosedError as error:
        return _cause(error)
    return None


def _cause(error: MimiError) -> MimiError:
    assert isinstance(error.__cause__, MimiError)
    return error.__cause__


class Pauses:
    """Instead of the back-off: a test ends each pause itself."""

    def __init__(self) -> None:
        self.started: asyncio.Queue[float] = asyncio.Queue()
        self.ended: asyncio.Queue[None] = asyncio.Queue()

    async def sleep(self, seconds: float) -> None:
        self.started.put_nowait(seconds)
        await self.ended.get()

    async def wait_started(self) -> float:
        """Wait until an attempt has failed; return the length of the pause in seconds."""
        async with asyncio.timeout(10):
            return await self.started.get()

    async def end_next(self) -> float:
        """Wait until the next pause has started, and end it; return its length in seconds."""
        seconds = await self.wait_started()
        self.end()
        return seconds

    def end(self) -> None:
        self.ended.put_nowait(None)


def raising(error: Exception) -> Callable[..., Awaitable[Any]]:
    """Return an asynchronous function of a host that fails."""

    async def fail(*_: object) -> None:
        raise error

    return fail


def returning(value: object) -> Callable[..., Awaitable[Any]]:
    """Return an asynchronous function of a host that answers."""

    async def answer(*_: object) -> object:
        return value

    return answer
