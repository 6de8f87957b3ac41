"""A store that several processes share, with a change feed for each of them."""

import asyncio
from collections.abc import AsyncIterator, Callable

from mimi_async import AuthController, MimiCore, MimiUser
from mimi_async.stores import DamagedIdentity, IdentityStore, MemoryStore, StoredIdentity
from mimi_async.stores.base import Change, account_digest

from ..doubles import settle
from ..internals import listener_of, supervisor_of
from .launches import ACCOUNT, App
from .stores_for_tests import WatchedStore

DIGEST = account_digest(ACCOUNT)
MISSED = Change(None)
CHANGED = Change(DIGEST)


class SharedStore(WatchedStore):
    """The store of one process, shared with other processes.

    Attributes:
        listenings: How often its changes were listened to.
        closed: Whether its store was open when each of these listenings ended.
        loads: How many loads it was asked for.
        most: How many of them were under way at once.
        pause: What each load waits for, after it was counted.
    """

    def __init__(self, inner: IdentityStore, all_shared: "list[SharedStore]") -> None:
        super().__init__(inner)
        self.feed: asyncio.Queue[Change | Exception | None] = asyncio.Queue()
        self.listenings = 0
        self.closed: list[bool] = []
        self.loads = 0
        self.most = 0
        self.pause: asyncio.Event | None = None
        self._loading = 0
        self._all_shared = all_shared
        all_shared.append(self)

    async def changes(self) -> AsyncIterator[Change]:
        """Yield what was emitted; an exception is raised, and None ends the feed."""
        self.listenings += 1
        try:
            while True:
                change = await self.feed.get()
                if isinstance(change, Exception):
                    self.feed.task_done()
                    raise change
                if change is None:
                    self.feed.task_done()
                    return
                yield change
                self.feed.task_done()
        finally:
            self.closed.append(self.is_entered > 0)

    def emit(self, *changes: Change | Exception | None) -> None:
        for change in changes:
            self.feed.put_nowait(change)

    async def deliver(self, *changes: Change) -> None:
        """Emit changes, and wait until they were received and all that can run has run."""
        self.emit(*changes)
        await self.feed.join()
        await settle()

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
        self._emit_to_others(account)
        return found

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        found = await super().replace(account, expected, new)
        self._emit_to_others(account)
        return found

    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        found = await super().forget(account, expected)
        self._emit_to_others(account)
        return found

    def _emit_to_others(self, account: str) -> None:
        for shared in self._all_shared:
            if shared is not self:
                shared.emit(about(account))

    def share(self) -> "SharedStore":
        """Return the store of another process."""
        return SharedStore(self.inner, self._all_shared)

    def emit_to_all(self, account: str) -> None:
        self._emit_to_others(account)
        self.emit(about(account))


class Process(App):
    """A process on a store that others share."""

    store: SharedStore

    async def set_record(self, record: StoredIdentity | None) -> None:
        """Store a record, or none, as another process does, and emit the change to all."""
        if record is None:
            await self.forget_record()
        else:
            await self.put(record)
        self.store.emit_to_all(ACCOUNT)

    async def follow_record(self, core: MimiCore, record: StoredIdentity | None) -> None:
        """Store a record, or none, as another process does, and wait until a core has followed the change."""
        await self.set_record(record)
        await self.follow(core)

    async def follow(self, core: MimiCore, *changes: Change) -> None:
        """Emit changes, and wait until a core has followed all changes of its feed."""
        await follow(core, self.store, *changes)


async def follow(core: MimiCore, shared: SharedStore, *changes: Change) -> None:
    """Emit changes, and wait until a core has followed all changes of its feed."""
    shared.emit(*changes)
    listener = listener_of(core)
    async with asyncio.timeout(30):
        await shared.feed.join()
    await until(lambda: listener.is_idle and not supervisor_of(core).operations)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


def active(user: MimiUser) -> StoredIdentity:
    return StoredIdentity.active(user.anonymous_id, user.id)


def about(account: str) -> Change:
    return Change(account_digest(account))


async def restore_accounts(core: MimiCore, count: int) -> list[AuthController]:
    return [await core.auth_for(f"a-{number}") for number in range(count)]


class Scripted(MemoryStore):
    """A store whose every listening is one of these; the last one does not end.

    Attributes:
        opened: How many of them were opened.
    """

    def __init__(self, *listenings: Callable[[], AsyncIterator[Change]]) -> None:
        super().__init__()
        self.listenings = list(listenings)
        self.opened = 0
        self.loads = 0

    def changes(self) -> AsyncIterator[Change]:
        self.opened += 1
        return self.listenings[min(self.opened, len(self.listenings)) - 1]()

    async def load(self, account: str) -> StoredIdentity | None:
        self.loads += 1
        return await super().load(account)


async def silence() -> AsyncIterator[Change]:
    await asyncio.Event().wait()
    yield MISSED
