"""A store that forgets when the process ends: for tests, and for a host that keeps the id itself."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Self

from ..errors import ConfigurationError
from .base import DamagedIdentity, IdentityStore, StoredIdentity


class MemoryStore(IdentityStore):
    """Keeps the records in this object, for as long as it lives: leaving it loses nothing.

    Two cores in one event loop may share it. It may be used without being entered.
    """

    def __init__(self) -> None:
        self._records: dict[str, StoredIdentity] = {}
        self._set_aside: list[tuple[str, StoredIdentity]] = []
        self._entries = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid: int | None = None

    async def __aenter__(self) -> Self:
        if self._loop is not None and self._loop.is_closed():
            self._entries = 0
        self._check_home()
        self._entries += 1
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._entries -= 1

    async def load(self, account: str) -> StoredIdentity | None:
        self._check_home()
        return self._records.get(account)

    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        self._check_home()
        return self._records.setdefault(account, record)

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        self._check_home()
        found = self._records.get(account)
        if _revision(found) != _revision(expected):
            return found
        self._records[account] = new
        return new

    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        self._check_home()
        found = self._records.get(account)
        if isinstance(expected, DamagedIdentity) or _revision(found) != _revision(expected):
            return found
        self._records.pop(account, None)
        return None

    async def set_aside(self, account: str, expected: StoredIdentity) -> StoredIdentity | None:
        self._check_home()
        found = self._records.get(account)
        if found is None or found.revision != expected.revision:
            return found
        self._set_aside.append((account, self._records.pop(account)))
        return None

    async def accounts(self) -> AsyncIterator[str]:
        self._check_home()
        for account in tuple(self._records):
            yield account

    def _check_home(self) -> None:
        if self._pid is None:
            self._pid = os.getpid()
        if self._pid != os.getpid():
            msg = "a MemoryStore was used before the process forked: make one of its own in each process"
            raise ConfigurationError(msg)
        if self._entries and self._loop is not asyncio.get_running_loop():
            msg = "a MemoryStore is in use in another event loop: make one for each loop"
            raise ConfigurationError(msg)


def _revision(record: StoredIdentity | None) -> bytes | None:
    return None if record is None else record.revision
