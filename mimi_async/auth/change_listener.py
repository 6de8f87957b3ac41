"""Listen to the change feed of the store, and refresh the accounts that other processes have changed."""

import asyncio
import logging
from collections import OrderedDict

from ..errors import ConfigurationError, StoreError, StoreUnavailableError
from ..operations.operation import Operation
from ..operations.supervisor import OperationSupervisor
from ..records.host_calls import call_store
from ..stores.base import Change, IdentityStore
from .registry import ControllerRegistry

_log = logging.getLogger(__name__)

_MAX_IDLE_REFRESHES = 16


class ChangeFeedLostError(StoreUnavailableError):
    """The change feed has ended or failed: listen again.

    Attributes:
        was_long: Whether it had lasted long.
    """

    def __init__(self, message: str, *, was_long: bool) -> None:
        super().__init__(message)
        self.was_long = was_long


class ChangeListener:
    """Reads the change feed of a store and refreshes the controllers that are alive; it creates and keeps none.

    Changes of one account that wait are merged into one refresh, and go before missed ones. At most 16 refreshes of
    idle controllers ask the store at once. A busy controller only gets one more operation that waits for its lock: it
    never delays the refresh of others.

    Args:
        store: The store.
        controllers: The controllers that are alive.
        supervisor: Owns the tasks.
    """

    def __init__(self, store: IdentityStore, controllers: ControllerRegistry, supervisor: OperationSupervisor) -> None:
        self._store = store
        self._controllers = controllers
        self._supervisor = supervisor
        self._changed: OrderedDict[bytes, None] = OrderedDict()
        self._missed: OrderedDict[bytes, None] = OrderedDict()
        self._refreshes: dict[bytes, Operation[None]] = {}
        self._free = _MAX_IDLE_REFRESHES
        self._has_heard = False
        self._is_lost = False

    @property
    def waiting(self) -> int:
        """How many accounts wait for a refresh."""
        return len(self._changed) + len(self._missed)

    @property
    def is_idle(self) -> bool:
        """Whether no refresh waits or runs."""
        return not (self._changed or self._missed or self._refreshes)

    async def listen(self) -> None:
        """Follow the change feed; return where the store has none.

        A store without a feed ends it at once, within a second and without a change. A feed that ends in any other way
        was lost. Once a lost feed is there again, all controllers are refreshed.

        Raises:
            ChangeFeedLostError: The feed has failed, or has ended too early.
        """
        started = asyncio.get_running_loop().time()
        failed: str | None = None
        try:
            await call_store(self._listen)
        except (StoreError, ConfigurationError) as failure:
            failed = str(failure)
        seconds = asyncio.get_running_loop().time() - started
        if failed is None and not self._has_heard and seconds < self._supervisor.entry.timeouts.feed_settling:
            return
        self._is_lost, lost = True, failed or "it has ended"
        _log.warning("listen to changes: the change feed of the store was lost, and is opened again: %s", lost)
        raise ChangeFeedLostError(lost, was_long=seconds >= self._supervisor.entry.timeouts.feed_reset)

    async def _listen(self) -> None:
        timeouts, changes = self._supervisor.entry.timeouts, self._store.changes()
        settled = asyncio.get_running_loop().call_later(timeouts.feed_settling, self._note_feed)
        try:
            async for change in changes:
                if not isinstance(change, Change):
                    msg = f"changes() yields Change(…), not a {type(change).__name__}"
                    raise ConfigurationError(msg)
                self._has_heard = True
                self._note_feed()
                self.refresh(change)
        finally:
            settled.cancel()
            if (aclose := getattr(changes, "aclose", None)) is not None:
                async with asyncio.timeout(timeouts.feed_close):
                    await aclose()

    def _note_feed(self) -> None:
        """Note that the feed is there; after a loss, all controllers are refreshed."""
        if self._is_lost:
            self._is_lost = False
            self.refresh(Change(None))

    def refresh(self, change: Change) -> None:
        """Refresh the controllers that a change concerns, if they are alive."""
        digest = change.account_digest
        if digest is None:
            self._missed.update(dict.fromkeys(self._controllers.digests()))
        elif self._controllers.by_digest(digest) is not None:
            self._missed.pop(digest, None)
            self._changed[digest] = None
        self._start()

    def _start(self) -> None:
        while self._supervisor.is_open and (waiting := self._changed or self._missed):
            digest = next(iter(waiting))
            auth = self._controllers.by_digest(digest)
            if auth is not None and not self._is_pending(digest):
                if not (auth.is_busy or self._free > 0):
                    return
                slots = 0 if auth.is_busy else 1
                self._free -= slots
                self._refreshes[digest] = refresh = auth.refresh()
                self._supervisor.spawn(self._wait(digest, refresh, slots))
            del waiting[digest]

    def _is_pending(self, digest: bytes) -> bool:
        """Whether a refresh of the account waits for the lock, so that it will see this change as well."""
        refresh = self._refreshes.get(digest)
        return refresh is not None and not refresh.has_entered

    async def _wait(self, digest: bytes, refresh: Operation[None], slots: int) -> None:
        try:
            await refresh.wait_committed()
        finally:
            self._free += slots
            if self._refreshes.get(digest) is refresh:
                del self._refreshes[digest]
        if refresh.has_entered:
            self._start()
        else:
            self.refresh(Change(digest))  # the operations before it took until its deadline
