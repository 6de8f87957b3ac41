"""What every test of this room works with: launches of an app, and what its observer was told."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import attrs
import pytest

from mimi_async import (
    AuthController,
    MimiCore,
    MimiError,
    MimiUser,
    NotRestoredError,
    StartupError,
    UserUpdate,
    ViewsClosedError,
)
from mimi_async.stores import StoredIdentity
from mimi_async.testing import IdentityServer

from .stores_for_tests import WatchedStore

ACCOUNT = "a-17"

Door = Literal["start", "auth_for", "present"]
DOORS: tuple[Door, ...] = ("start", "auth_for", "present")


class News:
    """An observer that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[UserUpdate] = []

    def __call__(
        self, sender: object, /, *, current: MimiUser | None, old: MimiUser | None, error: MimiError | None
    ) -> None:
        self.told.append(UserUpdate(current, old, error))

    @property
    def kinds(self) -> list[tuple[MimiUser | None, MimiUser | None, type[MimiError] | None]]:
        """What was told, with the kind of each error in its place."""
        return [(told.current, told.old, None if told.error is None else type(told.error)) for told in self.told]


@attrs.define(eq=False)
class App:
    """An app of a partner, that can be launched again and again on the same server and the same store."""

    server: IdentityServer
    store: WatchedStore
    news: News = attrs.field(factory=News)
    patience: float = 30.0

    def core(self, **settings: Any) -> MimiCore:
        """A core for one launch, with an observer."""
        defaults: dict[str, Any] = {
            "credentials": self.server.credentials,
            "server": self.server.url,
            "store": self.store,
            "account": ACCOUNT,
        }
        core = MimiCore(**{**defaults, **settings})
        core.observe(self.news)
        core._shared.patience = self.patience
        return core

    async def first_launch(self) -> MimiUser:
        """Make a user with a profile; what was written and told on the way is forgotten."""
        async with self.core() as core:
            await core.auth.ensure_user()
            user = await core.auth.update_user(year_of_birth=1980)
        self.forget_the_past()
        return user

    def forget_the_past(self) -> None:
        """Begin to watch anew."""
        self.store.writes.clear()
        self.news.told.clear()
        self.asked_before = len(self.server.requests)

    asked_before: int = 0

    @property
    def asked(self) -> list[tuple[str, str]]:
        """What the server was asked since the past was forgotten."""
        return [(asked.method, asked.path) for asked in list(self.server.requests)[self.asked_before :]]

    async def record(self) -> StoredIdentity | None:
        """What the store holds."""
        return await self.store.inner.load(ACCOUNT)

    async def put(self, record: StoredIdentity) -> StoredIdentity:
        """Store a record in place of what is there."""
        assert await self.store.inner.replace(ACCOUNT, await self.record(), record) is record
        return record

    @asynccontextmanager
    async def restored(self, door: Door, **settings: Any) -> AsyncIterator["Restored"]:
        """Restore through one of the doors, and stay in the core while it is open."""
        core = self.core(**{"account": ACCOUNT if door == "start" else None, **settings})
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(core)
            except StartupError as failure:
                yield Restored(core, core.auth, _cause(failure), has_started=False, phase=failure.phase)
                return
            restore = {"start": _settled, "auth_for": _auth_for, "present": _presented}[door]
            error = await restore(core)
            yield Restored(core, core._controllers.of(ACCOUNT), error)


@attrs.define(eq=False)
class Restored:
    """What a restore came to."""

    core: MimiCore
    auth: AuthController
    error: MimiError | None
    has_started: bool = True
    phase: str | None = None

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
    assert auth is core._controllers.of(ACCOUNT)
    return None


async def _presented(core: MimiCore) -> MimiError | None:
    async def view(auth: AuthController) -> MimiUser | None:
        return auth.current_user

    try:
        await core.present(view, account=ACCOUNT)
    except ViewsClosedError as error:
        return _cause(error)
    return None


def _cause(error: MimiError) -> MimiError:
    assert isinstance(error.__cause__, MimiError)
    return error.__cause__


def raising(error: Exception) -> Callable[..., Awaitable[Any]]:
    """An asynchronous function of somebody else's, that fails."""

    async def fail(*_: object) -> None:
        raise error

    return fail


def returning(value: object) -> Callable[..., Awaitable[Any]]:
    """An asynchronous function of somebody else's, that answers."""

    async def answer(*_: object) -> object:
        return value

    return answer
