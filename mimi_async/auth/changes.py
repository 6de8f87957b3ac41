"""The changes that others make in the store: who heeds them, and how many at once."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..errors import ConfigurationError, StoreError, StoreUnavailableError
from ..stores.base import Change, IdentityStore
from .controllers import Controllers
from .foreign import of_the_store
from .heeding import Notice
from .turns import Turns

_log = logging.getLogger(__name__)

_MOST_AT_ONCE = 16
_CLOSE_SECONDS = 3.0
_LONG_SECONDS = 60.0


class NewsLostError(StoreUnavailableError):
    """The news of changes have ended or failed: listen again.

    Attributes:
        was_long: Whether they had been there for long.
    """

    def __init__(self, message: str, *, was_long: bool) -> None:
        super().__init__(message)
        self.was_long = was_long


class Changes:
    """Listens to the news of a store, and lets the controllers that are alive heed them; none is made or kept for them.

    News of one account that wait are merged into one notice, and go before those that were missed. At most 16 idle
    controllers ask the store at once. One that is busy only adds a turn to those that wait for its lock: it never keeps
    the news of others waiting.

    Args:
        store: Whose news.
        controllers: Who is alive.
        turns: Owns what is under way.

    Attributes:
        settling: Seconds of listening after which a source of news counts as there.
    """

    def __init__(self, store: IdentityStore, controllers: Controllers, turns: Turns) -> None:
        self.settling: float = 1.0
        self._store = store
        self._controllers = controllers
        self._turns = turns
        self._news: OrderedDict[bytes, None] = OrderedDict()
        self._missed: OrderedDict[bytes, None] = OrderedDict()
        self._notices: dict[bytes, Notice] = {}
        self._free = _MOST_AT_ONCE
        self._has_heard = False
        self._is_lost = False

    async def listen(self) -> None:
        """Heed the news, for as long as there are any; return where there are none.

        A store says so by ending at once, within a second and without ever having told a change. A source that ends
        in any other way was lost. Once one that was lost is there again, all controllers ask what they have missed.

        Raises:
            NewsLostError: They have failed, or have ended too early.
        """
        begun = asyncio.get_running_loop().time()
        failed: str | None = None
        try:
            await of_the_store(self._hear)
        except (StoreError, ConfigurationError) as failure:
            failed = str(failure)
        seconds = asyncio.get_running_loop().time() - begun
        if failed is None and not self._has_heard and seconds < self.settling:
            return
        self._is_lost, lost = True, failed or "they have ended"
        _log.warning("the news of changes in the store were lost, and are listened for again: %s", lost)
        raise NewsLostError(lost, was_long=seconds >= _LONG_SECONDS)

    async def _hear(self) -> None:
        async with _closing(self._store.changes()) as changes:
            found = asyncio.get_running_loop().call_later(self.settling, self._found)
            try:
                async for change in changes:
                    if not isinstance(change, Change):
                        msg = f"changes() yields Change(…), not a {type(change).__name__}"
                        raise ConfigurationError(msg)
                    self._has_heard = True
                    self._found()
                    self.heed(change)
            finally:
                found.cancel()

    def _found(self) -> None:
        """A source that was lost is there again, and with it the store: what was missed meanwhile is asked for."""
        if self._is_lost:
            self._is_lost = False
            self.heed(Change(None))

    def heed(self, change: Change) -> None:
        """Let the controllers ask whom the news concern, if they are alive."""
        digest = change.account_digest
        if digest is None:
            self._missed.update(dict.fromkeys(self._controllers.digests()))
        elif self._controllers.find(digest) is not None:
            self._missed.pop(digest, None)
            self._news[digest] = None
        self._begin()

    def _begin(self) -> None:
        while self._turns.is_open and (waiting := self._news or self._missed):
            digest = next(iter(waiting))
            auth = self._controllers.find(digest)
            if auth is not None and not self._is_noticed(digest):
                if not (auth.is_busy or self._free > 0):
                    return
                slots = 0 if auth.is_busy else 1
                self._free -= slots
                self._notices[digest] = notice = auth.heed()
                self._turns.own(self._ended(digest, notice, slots))
            del waiting[digest]

    def _is_noticed(self, digest: bytes) -> bool:
        notice = self._notices.get(digest)
        return notice is not None and not notice.has_begun

    async def _ended(self, digest: bytes, notice: Notice, slots: int) -> None:
        try:
            await notice.committed()
        finally:
            self._free += slots
            if self._notices.get(digest) is notice:
                del self._notices[digest]
        if notice.has_begun:
            self._begin()
        else:
            self.heed(Change(digest))  # the turns before it took until its deadline


@asynccontextmanager
async def _closing(changes: AsyncIterator[Change]) -> AsyncIterator[AsyncIterator[Change]]:
    """Close it at the end, as `contextlib.aclosing` does, if it can be closed and does not take for ever."""
    try:
        yield changes
    finally:
        aclose = getattr(changes, "aclose", None)
        if aclose is not None:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await aclose()
