"""A copy of a store: whole, verified, gone on with, and never over a different id."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography.fernet import Fernet

from mimi_async.errors import ConfigurationError, InvalidInputError, StoreConflictError, StoreUnavailableError
from mimi_async.secret import SealedSecret
from mimi_async.stores import IdentityStore, MemoryStore, SealedStore, SQLiteStore, StoredIdentity
from mimi_async.stores.copying import BATCH_SIZE, Copy, copy_records, rename_account
from mimi_async.testing.store_contract_base import fresh_active, fresh_pending

from .damages import spoil

MANY = 2 * BATCH_SIZE + 7


class Failing(MemoryStore):
    """A target that stops to answer after some writes."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.writes = writes

    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        self.writes -= 1
        if self.writes < 0:
            msg = "the disk is full"
            raise StoreUnavailableError(msg)
        return await super().claim(account, record)


async def fill(store: IdentityStore, count: int = MANY) -> dict[str, StoredIdentity]:
    records = {f"a-{number}": fresh_active() for number in range(count)}
    for account, record in records.items():
        await store.claim(account, record)
    return records


async def read_all(store: MemoryStore) -> dict[str, StoredIdentity | None]:
    return {account: await store.load(account) async for account in store.accounts()}


async def test_copies_every_record_as_it_is() -> None:
    source, target = MemoryStore(), MemoryStore()
    records = await fill(source)
    active = fresh_active()
    for record in (fresh_pending(), active, active.with_state("rejected"), active.with_state("erasing")):
        records[record.state] = await source.claim(record.state, record)
    copy = await copy_records(source, target)
    assert copy == Copy(copied=MANY + 4)
    assert copy.is_whole
    assert await read_all(target) == records == await read_all(source)


async def test_continues_an_interrupted_copy() -> None:
    source, target = MemoryStore(), Failing(writes=10)
    records = await fill(source)
    with pytest.raises(StoreUnavailableError, match="the disk is full"):
        await copy_records(source, target)
    kept = len(await read_all(target))
    target.writes = MANY
    assert await copy_records(source, target) == Copy(copied=MANY - kept, present=kept)
    assert await read_all(target) == records


async def test_writes_over_nothing_that_the_target_holds() -> None:
    source, target = MemoryStore(), MemoryStore()
    await fill(source, 3)
    theirs = {"a-0": fresh_active(), "a-1": fresh_pending()}
    for account, record in theirs.items():
        await target.claim(account, record)
    copy = await copy_records(source, target)
    assert (copy.copied, copy.different, copy.is_whole) == (1, ["a-0", "a-1"], False)
    assert {account: await target.load(account) for account in theirs} == theirs


async def test_a_record_that_was_sealed_again_between_two_runs_is_the_same() -> None:
    source, target, old, new = MemoryStore(), MemoryStore(), Fernet.generate_key(), Fernet.generate_key()
    await fill(SealedStore(source, [old]))
    await copy_records(source, target)
    assert await SealedStore(source, [new, old]).rotate() == MANY
    assert await copy_records(source, target) == Copy(present=MANY)


SEALED, OTHER_SEALED = SealedSecret("sealed:one"), SealedSecret("sealed:another")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {"state": "erasing"}),
        ({}, {"secret": fresh_active().secret}),
        ({"secret": SEALED}, {"secret": OTHER_SEALED, "revision": bytes(16)}),
        ({"secret": SEALED}, {"secret": OTHER_SEALED, "state": "rejected"}),
        ({"secret": SEALED}, {"secret": fresh_active().secret}),
    ],
    ids=["another state", "another id", "sealed, another revision", "sealed, another state", "not sealed"],
)
async def test_any_other_record_is_a_difference(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    source, target = MemoryStore(), MemoryStore()
    record = await source.claim("a", attrs.evolve(fresh_active(), **ours))
    await target.claim("a", attrs.evolve(record, **theirs))
    assert (await copy_records(source, target)).different == ["a"]


async def test_loses_a_race_with_a_service_that_writes_to_the_target() -> None:
    class Contended(MemoryStore):
        async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
            await super().claim(account, theirs)
            return await super().claim(account, record)

    source, target, theirs = MemoryStore(), Contended(), fresh_active()
    await fill(source, 1)
    assert (await copy_records(source, target)).different == ["a-0"]
    assert await target.load("a-0") == theirs


class ChangingStore(MemoryStore):
    """Returns each record as if it were written, and writes what `change` makes of it, None for nothing."""

    def __init__(self, change: Callable[[StoredIdentity], StoredIdentity | None]) -> None:
        super().__init__()
        self.change = change

    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        changed = self.change(record)
        if changed is not None:
            await super().claim(account, changed)
        return record


async def test_a_target_that_loses_a_record_ends_the_copy() -> None:
    source = MemoryStore()
    await fill(source, 1)
    with pytest.raises(StoreConflictError, match="the target lost a record"):
        await copy_records(source, ChangingStore(lambda _: None))


@pytest.mark.parametrize(
    "change",
    [
        lambda _: fresh_active(),
        lambda record: attrs.evolve(record, secret=SealedSecret(record.secret.reveal()[:64])),
    ],
    ids=["another record", "a secret that is cut"],
)
async def test_a_record_that_the_target_changes_is_a_difference(
    change: Callable[[StoredIdentity], StoredIdentity],
) -> None:
    source = MemoryStore()
    await fill(SealedStore(source, [Fernet.generate_key()]), 1)
    assert (await copy_records(source, ChangingStore(change))).different == ["a-0"]


async def test_counts_a_record_that_was_forgotten_during_the_copy() -> None:
    class Shrinking(MemoryStore):
        async def accounts(self) -> AsyncIterator[str]:
            async for account in super().accounts():
                yield account
            yield "gone"

    source, target = Shrinking(), MemoryStore()
    await fill(source, 2)
    assert await copy_records(source, target) == Copy(copied=2, gone=1)


async def test_reports_a_damaged_record_and_copies_the_others(tmp_path: Path) -> None:
    target = MemoryStore()
    async with SQLiteStore(tmp_path / "ids") as source:
        for account in "abc":
            await source.claim(account, fresh_active())
        spoil(tmp_path / "ids", "secret = 'gone'")
        copy = await copy_records(source, target)
    assert (copy.copied, copy.corrupt, copy.is_whole) == (2, ["a"], False)
    assert await target.load("a") is None


async def test_reports_its_progress() -> None:
    source = MemoryStore()
    seen: list[int] = []
    await fill(source)
    await copy_records(source, MemoryStore(), lambda copy: seen.append(copy.seen))
    assert seen == [BATCH_SIZE, 2 * BATCH_SIZE, MANY]


async def test_asks_for_a_store_that_can_list_its_accounts() -> None:
    class Unlisted(MemoryStore):
        accounts = IdentityStore.accounts

    with pytest.raises(ConfigurationError, match=r"a Unlisted can't list its accounts"):
        await copy_records(Unlisted(), MemoryStore())


def test_its_repr_names_no_account() -> None:
    assert "a-17" not in repr(Copy(different=["a-17"], corrupt=["a-17"]))


NFD, NFC = "jose\u0301", "jos\u00e9"


async def test_a_record_moves_to_the_new_name_of_its_account() -> None:
    store, record = MemoryStore(), fresh_active()
    await store.claim(NFD, record)
    for _ in range(2):
        await rename_account(store, NFD, NFC)
        assert await read_all(store) == {NFC: record}
    await rename_account(store, NFC, NFC)
    assert await read_all(store) == {NFC: record}


async def test_a_sealed_record_can_be_read_under_its_new_name(tmp_path: Path) -> None:
    async with SealedStore(SQLiteStore(tmp_path / "ids"), [Fernet.generate_key()]) as store:
        record = await store.claim(NFD, fresh_active())
        await rename_account(store, NFD, NFC)
        assert (await store.load(NFC), await store.load(NFD)) == (record, None)


async def test_a_renaming_that_was_cut_off_between_its_two_writes_goes_on() -> None:
    store, record = MemoryStore(), fresh_active()
    for account in (NFD, NFC):
        await store.claim(account, record)
    await rename_account(store, NFD, NFC)
    assert await read_all(store) == {NFC: record}


async def test_a_name_that_has_a_user_of_its_own_is_not_written_over() -> None:
    store = MemoryStore()
    records = {account: await store.claim(account, fresh_active()) for account in (NFD, NFC)}
    with pytest.raises(InvalidInputError, match="decide which of the two users to keep"):
        await rename_account(store, NFD, NFC)
    with pytest.raises(InvalidInputError, match="NFC"):
        await rename_account(store, NFC, NFD)
    assert await read_all(store) == records
