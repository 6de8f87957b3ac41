"""Hears what is said on a channel of a database, through all that may happen to the connection."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final, Generic, TypeVar

import asyncpg

from ..errors import ConfigurationError, StoreError
from .address import CONNECT_SECONDS, Address
from .connection import Connection
from .database import Database
from .failures import ANY, translated

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

BEAT_SECONDS: Final = 5.0
_MOST_WAITING: Final = 10_000
_DEAF = "what another connection said was not heard on it; behind a pooler, give it a direct address"


class Listener(Generic[_T]):
    """Tells everybody in this process who wants to know what is said on a channel: one connection for all of them.

    A connection that listens may die without a word: half-open, lent to others by a pooler, at a server that is no
    longer the one that writes. So where it was silent for a while, something is said on the channel by another
    connection, of those that do the work, and is to be heard on this one; else it is given up for a new one. Everybody
    who listens hears it, and is content: N processes speak no more often than one.

    It listens for as long as somebody iterates `news`.

    Args:
        database: Where.
        channel: Its name.
        read: What a message means; None: nothing.
        missed: What is told whenever a connection begins to listen: before that, anything may have been said.
        address: Where to listen, if not where the database is.

    Attributes:
        beat: After how many seconds of silence, or up to twice as many, something is said, and within how many more it
            is to be heard.
    """

    def __init__(
        self,
        database: Database,
        channel: str,
        read: Callable[[str], _T | None],
        *,
        missed: _T,
        address: Address | None = None,
    ) -> None:
        self.beat: float = BEAT_SECONDS
        self._database = database
        self._channel = channel
        self._read = read
        self._missed = missed
        self._address = address
        self._mailboxes: set[_Mailbox[_T]] = set()
        self._task: asyncio.Task[None] | None = None
        self._sign = asyncio.Event()
        self._is_listening = False
        self._has_heard = False

    async def news(self) -> AsyncGenerator[_T, None]:
        """Yield what is said from now on; `missed` comes first. Who is slow gets what is said of the same once.

        Ends when `close` is called.
        """
        self._database.opened()
        mailbox = _Mailbox(self._missed)
        self._mailboxes.add(mailbox)
        try:
            task = self._begun(mailbox)
            while (news := await mailbox.take()) is not None:
                yield news
            if task.done() and not task.cancelled():
                task.result()
        finally:
            self._mailboxes.discard(mailbox)
            if not self._mailboxes:
                await self._end()

    @property
    def listening(self) -> int:
        """How many iterate `news`."""
        return len(self._mailboxes)

    def tell(self, news: _T) -> None:
        """Tell everybody who iterates `news`."""
        for mailbox in self._mailboxes:
            mailbox.put(news)

    async def close(self) -> None:
        """End what iterates `news`, and the connection."""
        await self._end()

    def _begun(self, mailbox: "_Mailbox[_T]") -> asyncio.Task[None]:
        if self._task is None or self._task.done():
            self._sign, self._is_listening = asyncio.Event(), False
            self._task = asyncio.create_task(self._listen(), name=f"listening on {self._channel}")
            self._task.add_done_callback(self._ended)
        elif self._is_listening:
            mailbox.put(self._missed)
        return self._task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._task in (task, None):
            for mailbox in self._mailboxes:
                mailbox.end()

    async def _end(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _listen(self) -> None:
        failures = 0
        while True:
            self._has_heard = False
            reason = await self._lost()
            failures = 1 if self._has_heard else failures + 1
            _log.log(
                logging.WARNING if failures == 1 else logging.DEBUG,
                "the connection that listens for changes was lost, and is made anew: %s",
                reason,
            )
            await asyncio.sleep(min(5.0, 0.1 * 2**failures) * random.uniform(0.5, 1))  # noqa: S311 - no secret

    async def _lost(self) -> str:
        """Listen until the connection is of no use any more, and return why."""
        try:
            async with self._database.line(self._address) as connection:
                connection.add_termination_listener(self._on_termination)
                async with asyncio.timeout(CONNECT_SECONDS):
                    await connection.add_listener(self._channel, self._on_message)
                self._is_listening = True
                self.tell(self._missed)
                return await self._watched(connection)
        except ANY as error:
            return str(translated(error, self._database.schema.purpose))
        except StoreError as error:
            return str(error)
        finally:
            self._is_listening = False

    async def _watched(self, connection: asyncpg.Connection) -> str:
        while not connection.is_closed():
            self._sign.clear()
            if await self._has_sign(self.beat * random.uniform(1, 2)):  # noqa: S311 - so that not all speak at once
                continue
            try:
                await self._database.run(self._speak)
            except (StoreError, ConfigurationError):
                continue  # it is the database that does not answer: nothing is known of this connection
            if not await self._has_sign(self.beat):
                return _DEAF
        return "it was closed"

    async def _has_sign(self, within: float) -> bool:
        try:
            async with asyncio.timeout(within):
                await self._sign.wait()
        except TimeoutError:
            return self._sign.is_set()  # the loop itself may have stood still
        return True

    async def _speak(self, connection: Connection) -> None:
        await connection.execute("SELECT pg_notify($1, '')", self._channel)

    def _on_message(self, _connection: Any, _pid: int, _channel: str, message: str) -> None:
        self._has_heard = True
        self._sign.set()
        if message and (news := self._read(message)) is not None:
            self.tell(news)

    def _on_termination(self, _: Any) -> None:
        self._sign.set()


class _Mailbox(Generic[_T]):
    """What one iteration has still to yield: each piece of news once, and nothing beside `missed`, which is of all."""

    def __init__(self, missed: _T) -> None:
        self._missed = missed
        self._news: dict[_T, None] = {}
        self._filled = asyncio.Event()
        self._has_ended = False

    def put(self, news: _T) -> None:
        if news == self._missed or len(self._news) >= _MOST_WAITING:
            self._news.clear()
            self._news[self._missed] = None
        elif self._missed not in self._news:
            self._news[news] = None
        self._filled.set()

    def end(self) -> None:
        self._has_ended = True
        self._filled.set()

    async def take(self) -> _T | None:
        """Return the oldest; None at the end."""
        while not self._news and not self._has_ended:
            self._filled.clear()
            await self._filled.wait()
        if not self._news:
            return None
        news = next(iter(self._news))
        del self._news[news]
        return news
