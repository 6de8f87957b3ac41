"""A store in memory: for tests, and for a host that keeps the id in its own database."""

from collections.abc import AsyncIterator
from typing import Self

from ..databases.affinity import LoopAffinity
from .base import DamagedIdentity, IdentityStore, StoredIdentity, revision_of


class MemoryStore(IdentityStore):
    """A store that keeps the records in this object, until the process ends: leaving it loses nothing.

    Two cores in one event loop may share it. It may be used without being entered.

    Attributes:
        quarantined: The accounts and records that were moved to the quarantine.
    """

    def __init__(self) -> None:
        self._records: dict[str, StoredIdentity] = {}
        self.quarantined: list[tuple[str, StoredIdentity]] = []
        self._affinity = LoopAffinity("a MemoryStore")

    @property
    def entries(self) -> int:
        """How many times it was entered and not left yet."""
        return self._affinity.entries

    async def __aenter__(self) -> Self:
        self._affinity.bind_process()
        self._affinity.enter()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._affinity.leave()

    async def load(self, account: str) -> StoredIdentity | None:
        self._check()
        return self._records.get(account)

    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        self._check()
        return self._records.setdefault(account, record)

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        self._check()
        found = self._records.get(account)
        if revision_of(found) != revision_of(expected):
            return found
        self._records[account] = new
        return new

    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        self._check()
        found = self._records.get(account)
        if isinstance(expected, DamagedIdentity) or revision_of(found) != revision_of(expected):
            return found
        self._records.pop(account, None)
        return None

    async def quarantine(self, account: str, expected: StoredIdentity) -> StoredIdentity | None:
        self._check()
        found = self._records.get(account)
        if found is None or found.revision != expected.revision:
            return found
        self.quarantined.append((account, self._records.pop(account)))
        return None

    async def accounts(self) -> AsyncIterator[str]:
        self._check()
        for account in tuple(self._records):
            yield account

    def _check(self) -> None:
        self._affinity.bind_process()
        self._affinity.check()
