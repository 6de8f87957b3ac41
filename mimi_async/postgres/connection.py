"""What is used of a connection of the driver, which carries no types."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class Connection(Protocol):
    """A connection that a work may use until it returns."""

    async def execute(self, query: str, *args: object) -> str:
        """Execute a statement; return its command tag."""

    async def fetch(self, query: str, *args: object) -> Sequence[Any]:
        """Return all rows."""

    async def fetchrow(self, query: str, *args: object) -> Any:
        """Return the first row, or None."""

    async def fetchval(self, query: str, *args: object) -> Any:
        """Return the first column of the first row, or None."""

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Begin a transaction; leaving it commits, or takes back what was done where the body raises."""
