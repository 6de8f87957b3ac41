"""Copies what one store holds into another, record by record, and never over a different id."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Literal

import attrs

from ..errors import StoreConflictError, StoreCorruptError
from ..identity import SealedSecret
from .base import IdentityStore, StoredIdentity

AT_ONCE = 64

_Outcome = Literal["copied", "there", "gone", "different", "corrupt"]


@attrs.define
class Copy:
    """How far a copy has come.

    Attributes:
        copied: Records that were written and read back.
        there: Records that the target held already, by an earlier run for example.
        gone: Records that were forgotten while the copy ran.
        different: Accounts for which the target holds something else: it was kept.
        corrupt: Accounts whose record can't be read in one of the two: both were kept.
    """

    copied: int = 0
    there: int = 0
    gone: int = 0
    different: list[str] = attrs.field(factory=list, repr=lambda accounts: str(len(accounts)))
    corrupt: list[str] = attrs.field(factory=list, repr=lambda accounts: str(len(accounts)))

    @property
    def seen(self) -> int:
        """How many accounts were looked at."""
        return self.copied + self.there + self.gone + len(self.different) + len(self.corrupt)

    @property
    def is_whole(self) -> bool:
        """Whether the target now holds all that the source does."""
        return not self.different and not self.corrupt

    def count(self, account: str, outcome: _Outcome) -> None:
        """Add what became of an account."""
        match outcome:
            case "different":
                self.different.append(account)
            case "corrupt":
                self.corrupt.append(account)
            case _:
                setattr(self, outcome, getattr(self, outcome) + 1)


async def copy_records(
    source: IdentityStore, target: IdentityStore, tell: Callable[[Copy], None] = lambda _: None
) -> Copy:
    """Copy every record of a store into another, both of them entered.

    Nothing is changed in the source, and nothing that the target holds is written over. A copy that was cut off goes
    on when it is run again. Services may go on meanwhile; what they change in the source after its record was copied
    is `different` in the next run: let them stand still for the last one.

    Args:
        source: Read.
        target: Written to, where it holds nothing for an account.
        tell: Told how far it has come, every now and then.

    Raises:
        StoreUnavailableError: One of the two did not answer; what was copied is kept.
        ConfigurationError: The source can't list its accounts.
    """
    copy = Copy()
    async for accounts in batches(source.accounts()):
        outcomes = await asyncio.gather(*(_copied(source, target, account) for account in accounts))
        for account, outcome in zip(accounts, outcomes, strict=True):
            copy.count(account, outcome)
        tell(copy)
    return copy


async def batches(accounts: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    """Yield the accounts by the dozen, so that a slow store is asked for many at once."""
    batch: list[str] = []
    async for account in accounts:
        batch.append(account)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


async def _copied(source: IdentityStore, target: IdentityStore, account: str) -> _Outcome:
    try:
        record = await source.load(account)
        if record is None:
            return "gone"
        found = await target.load(account)
        if found is not None:
            return "there" if _is_same(found, record) else "different"
        if await target.claim(account, record) != record:
            return "different"
        return _verified(await target.load(account), record)
    except StoreCorruptError:
        return "corrupt"


def _is_same(found: StoredIdentity, record: StoredIdentity) -> bool:
    is_sealed = isinstance(found.secret, SealedSecret) and isinstance(record.secret, SealedSecret)
    if is_sealed and found.revision == record.revision:
        return found.state == record.state  # sealed anew, by a rotation between two runs
    return found.secret == record.secret and found.state == record.state


def _verified(found: StoredIdentity | None, record: StoredIdentity) -> _Outcome:
    """Check what was written by reading it back.

    Raises:
        StoreConflictError: The target has lost it: it is no store to trust.
    """
    if found is None:
        msg = (
            "the target lost a record as soon as it was written: the copy was ended; nothing was changed in the source"
        )
        raise StoreConflictError(msg)
    return "copied" if (found.secret, found.state) == (record.secret, record.state) else "different"
