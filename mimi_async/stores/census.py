"""Counts what a store holds, and what in it wants somebody's attention."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import attrs

from ..errors import StoreCorruptError
from .base import IdentityStore, State
from .copying import batches

STALE_SECONDS = 3600.0
"""A creation takes seconds: one that is pending for longer was cut off, and waits for its account to come back."""


@attrs.define
class Census:
    """What a store holds.

    Attributes:
        states: How many records are in each state.
        corrupt: Accounts whose record can't be read.
        stale: Accounts whose creation has been pending for more than an hour.
    """

    states: Counter[State] = attrs.field(factory=Counter)
    corrupt: list[str] = attrs.field(factory=list, repr=lambda accounts: str(len(accounts)))
    stale: list[str] = attrs.field(factory=list, repr=lambda accounts: str(len(accounts)))

    @property
    def seen(self) -> int:
        """How many accounts have a record."""
        return self.states.total() + len(self.corrupt)


async def take_census(
    store: IdentityStore, tell: Callable[[Census], None] = lambda _: None, *, now: float | None = None
) -> Census:
    """Read every record of a store that is entered; change none.

    Args:
        store: Whose.
        tell: Told how far it has come, every now and then.
        now: Seconds since the epoch, the present by default.

    Raises:
        StoreUnavailableError: It did not answer.
        ConfigurationError: It can't list its accounts.
    """
    census, before = Census(), (time.time() if now is None else now) - STALE_SECONDS
    async for accounts in batches(store.accounts()):
        await asyncio.gather(*(_count(store, account, census, before) for account in accounts))
        tell(census)
    return census


async def _count(store: IdentityStore, account: str, census: Census, before: float) -> None:
    try:
        record = await store.load(account)
    except StoreCorruptError:
        census.corrupt.append(account)
        return
    if record is not None:
        census.states[record.state] += 1
        if record.state == "pending" and record.changed_at < before:
            census.stale.append(account)
