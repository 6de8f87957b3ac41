"""Copy the records of one store into another, and never overwrite a different id."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Literal

import attrs

from ..builtin_types import as_builtin
from ..errors import InvalidInputError, StoreConflictError, StoreCorruptError
from ..identity import validate_account
from ..secret import SealedSecret
from .base import IdentityStore, StoredIdentity

BATCH_SIZE = 64
"""How many records are read or copied at the same time."""

_Outcome = Literal["copied", "present", "gone", "different", "corrupt"]


@attrs.define
class Copy:
    """The progress of a copy.

    Attributes:
        copied: Records that were written and read back.
        present: Records that the target held already, by an earlier run for example.
        gone: Records that were forgotten while the copy ran.
        different: Accounts for which the target holds another record: it was kept.
        corrupt: Accounts whose record can't be read in one of the two stores: both records were kept.
    """

    copied: int = 0
    present: int = 0
    gone: int = 0
    different: list[str] = attrs.field(factory=list, repr=lambda accounts: str(len(accounts)))
    corrupt: list[str] = attrs.field(factory=list, repr=lambda accounts: str(len(accounts)))

    @property
    def seen(self) -> int:
        """How many accounts were read."""
        return self.copied + self.present + self.gone + len(self.different) + len(self.corrupt)

    @property
    def is_whole(self) -> bool:
        """Whether the target holds every record of the source."""
        return not self.different and not self.corrupt

    def count(self, account: str, outcome: _Outcome) -> None:
        """Add the outcome for an account."""
        if outcome in ("different", "corrupt"):
            getattr(self, outcome).append(account)
        else:
            setattr(self, outcome, getattr(self, outcome) + 1)


async def copy_records(
    source: IdentityStore, target: IdentityStore, on_progress: Callable[[Copy], None] = lambda _: None
) -> Copy:
    """Copy every record of a store into another. Both stores are entered.

    The source is not changed, and no record of the target is overwritten. A copy that was interrupted continues when
    it is run again. Services may run during the copy; a record that they change in the source after it was copied is
    `different` in the next run: stop them for the last run.

    Args:
        source: The store to read.
        target: The store to write to, where it holds nothing for an account.
        on_progress: Called after each batch of records.

    Raises:
        StoreUnavailableError: One of the stores did not answer; what was copied is kept.
        ConfigurationError: The source can't list its accounts.
    """
    copy = Copy()
    async for accounts in batches(source.accounts()):
        outcomes = await asyncio.gather(*(_copy_record(source, target, account) for account in accounts))
        for account, outcome in zip(accounts, outcomes, strict=True):
            copy.count(account, outcome)
        on_progress(copy)
    return copy


async def rename_account(store: IdentityStore, account: str, name: str) -> None:
    """Move the record of an account to another name, in a store that is entered.

    No service may use either name during the call. Repeat a call that was interrupted. Without a record, nothing
    happens.

    Args:
        store: The store.
        account: The old name.
        name: The new name, as a core takes it.

    Raises:
        InvalidInputError: The new name has another record, or a core refuses it: nothing was changed.
        StoreUnavailableError: The store did not answer: the record is kept under one of the names, or under both.
        StoreCorruptError: One of the two records can't be read; both were kept.
    """
    validate_account(name)
    record = await store.load(account)
    if record is None or name == account:
        return
    if await store.claim(name, record) != record:
        msg = "the new name has another record; nothing was changed: decide which of the two users to keep"
        raise InvalidInputError(msg)
    await store.forget(account, record)


async def batches(accounts: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    """Yield the accounts in batches, whose records are read at the same time."""
    batch: list[str] = []
    async for account in accounts:
        batch.append(as_builtin(account))
        if len(batch) == BATCH_SIZE:
            yield batch
            batch = []
    if batch:
        yield batch


async def _copy_record(source: IdentityStore, target: IdentityStore, account: str) -> _Outcome:
    try:
        record = await source.load(account)
        if record is None:
            return "gone"
        found = await target.load(account)
        if found is not None:
            return "present" if _is_same(found, record) else "different"
        if await target.claim(account, record) != record:
            return "different"
        return _verify(await target.load(account), record)
    except StoreCorruptError:
        return "corrupt"


def _is_same(found: StoredIdentity, record: StoredIdentity) -> bool:
    is_sealed = isinstance(found.secret, SealedSecret) and isinstance(record.secret, SealedSecret)
    if is_sealed and found.revision == record.revision:
        return found.state == record.state  # sealed again, by a rotation between two runs
    return found.secret == record.secret and found.state == record.state


def _verify(found: StoredIdentity | None, record: StoredIdentity) -> _Outcome:
    """Compare the record that was read back with the record that was written.

    Raises:
        StoreConflictError: The target has lost the record: it can't be trusted.
    """
    if found is None:
        msg = (
            "the target lost a record as soon as it was written: the copy was ended; nothing was changed in the source"
        )
        raise StoreConflictError(msg)
    return "copied" if (found.secret, found.state) == (record.secret, record.state) else "different"
