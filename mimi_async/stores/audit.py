"""Count the records of a store, and list those that need attention."""

import asyncio
import time
import unicodedata
from collections import Counter
from collections.abc import Callable

import attrs

from ..errors import StoreCorruptError
from .base import IdentityStore, State
from .copying import batches


@attrs.define
class StoreAudit:
    """The contents of a store.

    Attributes:
        states: How many records are in each state.
        corrupt: Accounts whose record can't be read.
        pending: Accounts whose creation is pending: copies of this store on several machines would share its user.
        stale: The pending accounts whose creation was interrupted: it takes seconds, and is pending for longer than
            `stale_after`.
        not_nfc: Accounts whose names are not in Unicode NFC: a core refuses them.
    """

    states: Counter[State] = attrs.field(factory=Counter)
    corrupt: list[str] = attrs.field(factory=list, repr=lambda accounts: str(len(accounts)))
    pending: list[str] = attrs.field(factory=list, repr=lambda accounts: str(len(accounts)))
    stale: list[str] = attrs.field(factory=list, repr=lambda accounts: str(len(accounts)))
    not_nfc: list[str] = attrs.field(factory=list, repr=lambda accounts: str(len(accounts)))

    @property
    def seen(self) -> int:
        """How many accounts have a record."""
        return self.states.total() + len(self.corrupt)


async def audit_store(
    store: IdentityStore,
    on_progress: Callable[[StoreAudit], None] = lambda _: None,
    *,
    stale_after: float = 3600.0,
) -> StoreAudit:
    """Read every record of a store that is entered; change nothing.

    Args:
        store: The store.
        on_progress: Called after each batch of records.
        stale_after: Seconds after which a pending creation is stale.

    Raises:
        StoreUnavailableError: The store did not answer.
        ConfigurationError: The store can't list its accounts.
    """
    audit, before = StoreAudit(), time.time() - stale_after
    async for accounts in batches(store.accounts()):
        await asyncio.gather(*(_count(store, account, audit, before) for account in accounts))
        on_progress(audit)
    return audit


async def _count(store: IdentityStore, account: str, audit: StoreAudit, before: float) -> None:
    if not unicodedata.is_normalized("NFC", account):
        audit.not_nfc.append(account)
    try:
        record = await store.load(account)
    except StoreCorruptError:
        audit.corrupt.append(account)
        return
    if record is not None:
        audit.states[record.state] += 1
        if record.state == "pending":
            audit.pending.append(account)
            if record.changed_at < before:
                audit.stale.append(account)
