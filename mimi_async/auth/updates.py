"""Updates as an asynchronous iterator."""

import asyncio
import weakref
from collections.abc import Callable
from typing import Self

from ..errors import MimiError
from ..identity import MimiUser
from .delivery import UserUpdate


class Latest:
    """Holds at most one update: while nobody takes it, a newer one is merged into it."""

    __slots__ = ("__weakref__", "_filled", "_update", "is_ended")

    def __init__(self) -> None:
        self.is_ended: bool = False
        self._update: UserUpdate | None = None
        self._filled = asyncio.Event()

    def put(self, _: object, /, *, current: MimiUser | None, old: MimiUser | None, error: MimiError | None) -> None:
        """Be a receiver: keep the oldest `old`, the newest `current` and the newest error."""
        if self._update is not None:
            old, error = self._update.old, error or self._update.error
        self._update = UserUpdate(current, old, error)
        self._filled.set()

    def end(self) -> None:
        """Let the iteration end after what is held."""
        self.is_ended = True
        self._filled.set()

    async def take(self) -> UserUpdate:
        """Wait for an update and take it.

        Raises:
            StopAsyncIteration: There will be none any more.
        """
        while self._update is None:
            if self.is_ended:
                raise StopAsyncIteration
            self._filled.clear()
            await self._filled.wait()
        update, self._update = self._update, None
        return update


class Updates:
    """The updates of one controller, from the call on, for `async for`.

    Bounded: a slow consumer gets one merged update. It ends when it is closed or the core is left; an iterator that
    nobody holds any more closes itself.
    """

    def __init__(self, latest: Latest, unsubscribe: Callable[[], None]) -> None:
        self._latest = latest
        self._finalizer = weakref.finalize(self, unsubscribe)
        self._finalizer.atexit = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> UserUpdate:
        return await self._latest.take()

    def close(self) -> None:
        """End the iteration; closing twice is fine."""
        self._finalizer()
        self._latest.end()

    async def aclose(self) -> None:
        """End the iteration, as `contextlib.aclosing` asks."""
        self.close()
