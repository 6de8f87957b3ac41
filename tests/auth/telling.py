"""A store that several processes share, each through a door of its own, and that tells each what the others change."""

import asyncio
from collections.abc import AsyncIterator, Callable

import attrs

from mimi_async import AuthController, MimiCore, MimiUser
from mimi_async.stores import DamagedIdentity, MemoryStore, StoredIdentity
from mimi_async.stores.base import Change, account_digest
from mimi_async.testing import IdentityServer

from .launches import ACCOUNT, App
from .stores_for_tests import WatchedStore

DIGEST = account_digest(ACCOUNT)
MISSED = Change(None)
HERS = Change(DIGEST)


class Door(WatchedStore):
    """One process's way to the store that it shares with others.

    Attributes:
        listenings: How often its changes were listened to.
        closed: Whether its store was open when each of these listenings ended.
        loads: How many loads it was asked for.
        most: How many of them were under way at once.
        pause: What each load waits for, after it was counted.
    """

    def __init__(self, inner: MemoryStore, doors: "list[Door]") -> None:
        super().__init__(inner)
        self.news: asyncio.Queue[Change | Exception | None] = asyncio.Queue()
        self.listenings = 0
        self.closed: list[bool] = []
        self.loads = 0
        self.most = 0
        self.pause: asyncio.Event | None = None
        self._loading = 0
        self._doors = doors
        doors.append(self)

    async def changes(self) -> AsyncIterator[Change]:
        """Yield what it is told; an exception is raised, and None ends it."""
        self.listenings += 1
        try:
            while True:
                news = await self.news.get()
                if isinstance(news, Exception):
                    self.news.task_done()
                    raise news
                if news is None:
                    self.news.task_done()
                    return
                yield news
                self.news.task_done()
        finally:
            self.closed.append(self.is_entered > 0)

    def tell(self, *news: Change | Exception | None) -> None:
        for one in news:
            self.news.put_nowait(one)

    async def load(self, account: str) -> StoredIdentity | None:
        self.loads += 1
        self._loading += 1
        self.most = max(self.most, self._loading)
        try:
            if self.pause is not None:
                await self.pause.wait()
            return await super().load(account)
        finally:
            self._loading -= 1

    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        found = await super().claim(account, record)
        self._tell_others(account)
        return found

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        found = await super().replace(account, expected, new)
        self._tell_others(account)
        return found

    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        found = await super().forget(account, expected)
        self._tell_others(account)
        return found

    def _tell_others(self, account: str) -> None:
        for door in self._doors:
            if door is not self:
                door.tell(Change(account_digest(account)))


@attrs.define(eq=False)
class Neighbours:
    """Processes of a partner on one server and one store."""

    server: IdentityServer
    inner: MemoryStore = attrs.field(factory=MemoryStore)
    doors: list[Door] = attrs.field(factory=list)

    def app(self) -> "Process":
        return Process(self.server, Door(self.inner, self.doors))

    async def set(self, record: StoredIdentity | None, account: str = ACCOUNT) -> None:
        """Let a process that is none of ours store a record, and tell all."""
        found = await self.inner.load(account)
        if record is None:
            await self.inner.forget(account, found)
        else:
            assert await self.inner.replace(account, found, record) is record
        for door in self.doors:
            door.tell(Change(account_digest(account)))

    async def make_user(self) -> MimiUser:
        """A user that the server knows and the store does not hold."""
        elsewhere = App(self.server, WatchedStore(MemoryStore()))
        async with elsewhere.core() as core:
            return await core.auth.ensure_user()


class Process(App):
    """One of them."""

    store: Door

    async def heeded(self, core: MimiCore) -> None:
        """Wait until all that was told was heeded."""
        await heeded(core, self.store)


async def heeded(core: MimiCore, door: Door) -> None:
    """Wait until a core has heeded all that its door was told."""
    changes = core._changes
    assert changes is not None
    async with asyncio.timeout(30):
        await door.news.join()
    await until(lambda: not (changes._news or changes._missed or changes._notices or core._turns._turns))


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


def active(user: MimiUser) -> StoredIdentity:
    return StoredIdentity.active(user.anonymous_id, user.id)


def about(account: str) -> Change:
    return Change(account_digest(account))


async def restored(core: MimiCore, count: int) -> list[AuthController]:
    return [await core.auth_for(f"a-{number}") for number in range(count)]


class Scripted(MemoryStore):
    """A store whose every listening is one of these; the last one is for ever.

    Attributes:
        begun: How many of them have begun.
    """

    def __init__(self, *listenings: Callable[[], AsyncIterator[Change]]) -> None:
        super().__init__()
        self.listenings = list(listenings)
        self.begun = 0
        self.loads = 0

    def changes(self) -> AsyncIterator[Change]:
        self.begun += 1
        return self.listenings[min(self.begun, len(self.listenings)) - 1]()

    async def load(self, account: str) -> StoredIdentity | None:
        self.loads += 1
        return await super().load(account)


async def silence() -> AsyncIterator[Change]:
    await asyncio.Event().wait()
    yield MISSED
