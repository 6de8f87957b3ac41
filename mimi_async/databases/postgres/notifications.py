"""Listen on a channel of a database, and reconnect where the connection is lost."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final, Generic, TypeVar

import asyncpg

from ...errors import ConfigurationError, NotStartedError, StoreError
from .address import Address
from .database import Database
from .errors import ANY, translate_error
from .statement import prove

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_NOTIFY: Final = prove("notify", "SELECT pg_notify($2, '')")
_MAX_PENDING: Final = 10_000
_DEAF = "it did not receive a notification of another connection; behind a pooler, give it a direct address"


class Listener(Generic[_T]):
    """The messages of a channel, for all subscribers of this process: one connection for all of them.

    A connection that listens may be lost without an error: half-open, lent to other clients by a pooler, or at a server
    that is no longer the primary. So after some silence another connection of the pool sends an empty notification; the
    connection that does not receive it is replaced. All processes that listen receive it and reset their timers: N
    processes send no more of them than one.

    The connection exists while a subscriber iterates `messages`.

    Args:
        database: The database.
        channel: The name of the channel.
        read: Converts the text of a notification to a message; None: it has no meaning.
        missed: The message that begins each connection: before it, any notification may have been missed.
        address: Where to listen, if not at the address of the database.
        heartbeat: Seconds of silence, up to twice as many, before an empty notification is sent, and seconds within
            which it must be received.
    """

    def __init__(
        self,
        database: Database,
        channel: str,
        read: Callable[[str], _T | None],
        *,
        missed: _T,
        address: Address | None = None,
        heartbeat: float = 5.0,
    ) -> None:
        self._database = database
        self._channel = channel
        self._read = read
        self._missed = missed
        self._address = address
        self._heartbeat = heartbeat
        self._mailboxes: set[_Mailbox[_T]] = set()
        self._task: asyncio.Task[None] | None = None
        self._activity = asyncio.Event()
        self._is_listening = False
        self._has_received = False

    async def messages(self) -> AsyncGenerator[_T, None]:
        """Yield the messages from now on; `missed` is the first. A slow subscriber gets equal messages once.

        Ends when `close` is called.
        """
        self._database.require_pool()
        mailbox = _Mailbox(self._missed)
        self._mailboxes.add(mailbox)
        try:
            task = self._start(mailbox)
            while (message := await mailbox.take()) is not None:
                yield message
            if task.done() and not task.cancelled():
                task.result()
        finally:
            self._mailboxes.discard(mailbox)
            if not self._mailboxes:
                await self.close()

    @property
    def subscribers(self) -> int:
        """How many iterators of `messages` there are."""
        return len(self._mailboxes)

    def publish(self, message: _T) -> None:
        """Deliver a message to all subscribers."""
        for mailbox in self._mailboxes:
            mailbox.put(message)

    async def close(self) -> None:
        """End all iterators of `messages`, and the connection."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def _start(self, mailbox: "_Mailbox[_T]") -> asyncio.Task[None]:
        if self._task is None or self._task.done():
            self._activity, self._is_listening = asyncio.Event(), False
            self._task = asyncio.create_task(self._listen(), name=f"listening on {self._channel}")
            self._task.add_done_callback(self._on_end)
        elif self._is_listening:
            mailbox.put(self._missed)
        return self._task

    def _on_end(self, task: asyncio.Task[None]) -> None:
        if self._task in (task, None):
            for mailbox in self._mailboxes:
                mailbox.end()

    async def _listen(self) -> None:
        failures = 0
        while True:
            self._has_received = False
            reason = await self._listen_until_lost()
            failures = 1 if self._has_received else failures + 1
            _log.log(
                logging.WARNING if failures == 1 else logging.DEBUG,
                "the connection that listens for changes was lost, and is replaced: %s",
                reason,
            )
            await asyncio.sleep(min(5.0, 0.1 * 2**failures) * random.uniform(0.5, 1))  # noqa: S311 - no secret

    async def _listen_until_lost(self) -> str:
        """Listen until the connection is lost, and return the reason."""
        try:
            async with self._database.dedicated_connection(self._address) as connection:
                connection.add_termination_listener(self._on_termination)
                async with asyncio.timeout(self._database.connect_timeout):
                    await connection.add_listener(self._channel, self._on_notification)
                self._is_listening = True
                self.publish(self._missed)
                return await self._watch(connection)
        except ANY as error:
            return str(translate_error(error, self._database.schema.purpose))
        except (StoreError, NotStartedError) as error:
            return str(error)
        finally:
            self._is_listening = False

    async def _watch(self, connection: asyncpg.Connection) -> str:
        while not connection.is_closed():
            self._activity.clear()
            pause = self._heartbeat * random.uniform(1, 2)  # noqa: S311 - so that one process sends before the others
            if await self._is_active(pause):
                continue
            try:
                await self._database.run(lambda connection: _NOTIFY.fetch(connection, self._channel))
            except (StoreError, ConfigurationError):
                continue  # the database does not answer: the state of this connection is unknown
            if not await self._is_active(self._heartbeat):
                return _DEAF
        return "it was closed"

    async def _is_active(self, within: float) -> bool:
        try:
            async with asyncio.timeout(within):
                await self._activity.wait()
        except TimeoutError:
            return self._activity.is_set()  # the loop may have been blocked
        return True

    def _on_notification(self, _connection: Any, _pid: int, _channel: str, text: str) -> None:
        self._has_received = True
        self._activity.set()
        if text and (message := self._read(text)) is not None:
            self.publish(message)

    def _on_termination(self, _: Any) -> None:
        self._activity.set()


class _Mailbox(Generic[_T]):
    """The messages that one iterator has not yielded yet: each once, and nothing beside `missed`, which covers all."""

    def __init__(self, missed: _T) -> None:
        self._missed = missed
        self._messages: dict[_T, None] = {}
        self._changed = asyncio.Event()
        self._has_ended = False

    def put(self, message: _T) -> None:
        if message == self._missed or len(self._messages) >= _MAX_PENDING:
            self._messages.clear()
            self._messages[self._missed] = None
        elif self._missed not in self._messages:
            self._messages[message] = None
        self._changed.set()

    def end(self) -> None:
        self._has_ended = True
        self._changed.set()

    async def take(self) -> _T | None:
        """Return the oldest message, None at the end."""
        while not self._messages and not self._has_ended:
            self._changed.clear()
            await self._changed.wait()
        if not self._messages:
            return None
        message = next(iter(self._messages))
        del self._messages[message]
        return message
