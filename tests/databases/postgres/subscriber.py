"""A subscriber of a change feed."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Generic, Self, TypeVar

import pytest

_T = TypeVar("_T")


class Subscriber(Generic[_T]):
    """Iterates a feed in a task of its own, and keeps its messages.

    `async with` waits for the first message, which is `missed`.
    """

    def __init__(self, feed: AsyncGenerator[_T, None], missed: _T) -> None:
        self._messages: asyncio.Queue[_T] = asyncio.Queue()
        self._missed = missed
        self.task = asyncio.create_task(self._iterate(feed), name="subscriber")

    async def __aenter__(self) -> Self:
        assert await self.next() == self._missed
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def next(self, within: float = 30.0) -> _T:
        async with asyncio.timeout(within):
            return await self._messages.get()

    async def next_but_missed(self) -> _T:
        """Return the next message that is not `missed`."""
        while (message := await self.next()) == self._missed:
            pass
        return message

    async def expect_nothing(self, seconds: float) -> None:
        with pytest.raises(TimeoutError):
            await self.next(seconds)

    async def _iterate(self, feed: AsyncGenerator[_T, None]) -> None:
        async with aclosing(feed) as messages:
            async for message in messages:
                self._messages.put_nowait(message)
