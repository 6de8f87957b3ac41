"""Updates as an asynchronous iterator."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from typing import Self

from ..errors import MimiError
from ..identity import MimiUser
from .delivery import UserUpdate


class CoalescingBuffer:
    """Holds at most one update: a newer one is merged into the update that was not taken yet."""

    __slots__ = ("__weakref__", "_filled", "_update", "is_ended")

    def __init__(self) -> None:
        self.is_ended: bool = False
        self._update: UserUpdate | None = None
        self._filled = asyncio.Event()

    def put(self, _: object, /, *, current: MimiUser | None, old: MimiUser | None, error: MimiError | None) -> None:
        """Merge an update: keep the oldest `old`, the newest `current` and the newest error. It is a receiver."""
        if self._update is not None:
            old, error = self._update.old, error or self._update.error
        self._update = UserUpdate(current, old, error)
        self._filled.set()

    def end(self) -> None:
        """End the iteration after the update that is held."""
        self.is_ended = True
        self._filled.set()

    async def take(self) -> UserUpdate:
        """Wait for an update and take it.

        Raises:
            StopAsyncIteration: The iteration has ended.
        """
        while self._update is None:
            if self.is_ended:
                raise StopAsyncIteration
            self._filled.clear()
            await self._filled.wait()
        update, self._update = self._update, None
        return update


class UpdateStream:
    """The updates of one controller, from the call on, for `async for`.

    Bounded: a slow consumer gets one merged update. It ends when it is closed or the core is left; an iterator without
    a reference closes itself.

    Args:
        buffer: Receives the updates.
        unsubscribe: Called when it is closed.
        ready: Awaited before each update: it returns once the core was entered, in this event loop.
    """

    def __init__(
        self, buffer: CoalescingBuffer, unsubscribe: Callable[[], None], ready: Callable[[], Awaitable[None]]
    ) -> None:
        self._buffer = buffer
        self._ready = ready
        self._finalizer = weakref.finalize(self, unsubscribe)
        self._finalizer.atexit = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> UserUpdate:
        await self._ready()
        return await self._buffer.take()

    def close(self) -> None:
        """End the iteration; closing twice has no effect."""
        self._finalizer()
        self._buffer.end()

    async def aclose(self) -> None:
        """End the iteration, as `contextlib.aclosing` asks."""
        self.close()
