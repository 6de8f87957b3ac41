"""A copy of a store: whole, verified, gone on with, and never over a different id."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography.fernet import Fernet

from mimi_async.errors import ConfigurationError, StoreConflictError, StoreUnavailableError
from mimi_async.identity import SealedSecret
from mimi_async.stores import IdentityStore, MemoryStore, SealedStore, SQLiteStore, StoredIdentity
from mimi_async.stores.copying import AT_ONCE, Copy, copy_records
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending

from .test_damage import spoil

MANY = 2 * AT_ONCE + 7


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


async def filled(store: IdentityStore, count: int = MANY) -> dict[str, StoredIdentity]:
    records = {f"a-{number}": fresh_active() for number in range(count)}
    for account, record in records.items():
        await store.claim(account, record)
    return records


async def contents(store: MemoryStore) -> dict[str, StoredIdentity | None]:
    return {account: await store.load(account) async for account in store.accounts()}


async def test_copies_every_record_as_it_is() -> None:
    source, target = MemoryStore(), MemoryStore()
    records = await filled(source)
    active = fresh_active()
    for record in (fresh_pending(), active, active.turned("rejected"), active.turned("erasing")):
        records[record.state] = await source.claim(record.state, record)
    copy = await copy_records(source, target)
    assert copy == Copy(copied=MANY + 4)
    assert copy.is_whole
    assert await contents(target) == records == await contents(source)


async def test_goes_on_where_it_was_cut_off() -> None:
    source, target = MemoryStore(), Failing(writes=10)
    records = await filled(source)
    with pytest.raises(StoreUnavailableError, match="the disk is full"):
        await copy_records(source, target)
    kept = len(await contents(target))
    target.writes = MANY
    assert await copy_records(source, target) == Copy(copied=MANY - kept, there=kept)
    assert await contents(target) == records


async def test_writes_over_nothing_that_the_target_holds() -> None:
    source, target = MemoryStore(), MemoryStore()
    await filled(source, 3)
    theirs = {"a-0": fresh_active(), "a-1": fresh_pending()}
    for account, record in theirs.items():
        await target.claim(account, record)
    copy = await copy_records(source, target)
    assert (copy.copied, copy.different, copy.is_whole) == (1, ["a-0", "a-1"], False)
    assert {account: await target.load(account) for account in theirs} == theirs


async def test_takes_the_same_id_in_another_state_for_a_difference() -> None:
    source, target = MemoryStore(), MemoryStore()
    record = await source.claim("a", fresh_active())
    await target.claim("a", record.turned("erasing"))
    assert (await copy_records(source, target)).different == ["a"]


async def test_takes_what_was_sealed_anew_between_two_runs_for_the_same() -> None:
    source, target, old, new = MemoryStore(), MemoryStore(), Fernet.generate_key(), Fernet.generate_key()
    await filled(SealedStore(source, [old]))
    await copy_records(source, target)
    assert await SealedStore(source, [new, old]).rotate() == MANY
    assert await copy_records(source, target) == Copy(there=MANY)


@pytest.mark.parametrize(
    "theirs",
    [
        {"secret": SealedSecret("sealed:another"), "revision": bytes(16)},
        {"secret": SealedSecret("sealed:another"), "state": "rejected"},
        {"secret": fresh_active().secret},
    ],
    ids=["another revision", "another state", "not sealed"],
)
async def test_takes_anything_else_that_is_sealed_for_a_difference(theirs: dict[str, Any]) -> None:
    source, target = MemoryStore(), MemoryStore()
    record = await source.claim("a", attrs.evolve(fresh_active(), secret=SealedSecret("sealed:one")))
    await target.claim("a", attrs.evolve(record, **theirs))
    assert (await copy_records(source, target)).different == ["a"]


async def test_takes_another_id_of_the_same_revision_for_a_difference() -> None:
    source, target = MemoryStore(), MemoryStore()
    record = await source.claim("a", fresh_active())
    await target.claim("a", attrs.evolve(fresh_active(), revision=record.revision))
    assert (await copy_records(source, target)).different == ["a"]


async def test_loses_a_race_with_a_service_that_writes_to_the_target() -> None:
    class Contended(MemoryStore):
        async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
            await super().claim(account, theirs)
            return await super().claim(account, record)

    source, target, theirs = MemoryStore(), Contended(), fresh_active()
    await filled(source, 1)
    assert (await copy_records(source, target)).different == ["a-0"]
    assert await target.load("a-0") == theirs


async def test_believes_no_target_that_loses_what_was_written() -> None:
    class Forgetful(MemoryStore):
        async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
            return record

    source = MemoryStore()
    await filled(source, 1)
    with pytest.raises(StoreConflictError, match="the target lost a record"):
        await copy_records(source, Forgetful())


async def test_believes_no_target_that_keeps_something_else() -> None:
    class Careless(MemoryStore):
        async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
            await super().claim(account, fresh_active())
            return record

    source = MemoryStore()
    await filled(source, 1)
    assert (await copy_records(source, Careless())).different == ["a-0"]


async def test_believes_no_target_that_cuts_off_what_is_sealed() -> None:
    class Narrow(MemoryStore):
        async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
            short = SealedSecret(record.secret.reveal()[:64])
            await super().claim(account, attrs.evolve(record, secret=short))
            return record

    source = MemoryStore()
    await filled(SealedStore(source, [Fernet.generate_key()]), 1)
    assert (await copy_records(source, Narrow())).different == [account async for account in source.accounts()]


async def test_leaves_a_record_that_was_forgotten_meanwhile() -> None:
    class Shrinking(MemoryStore):
        async def accounts(self) -> AsyncIterator[str]:
            async for account in super().accounts():
                yield account
            yield "gone"

    source, target = Shrinking(), MemoryStore()
    await filled(source, 2)
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


async def test_tells_how_far_it_has_come() -> None:
    source = MemoryStore()
    seen: list[int] = []
    await filled(source)
    await copy_records(source, MemoryStore(), lambda copy: seen.append(copy.seen))
    assert seen == [AT_ONCE, 2 * AT_ONCE, MANY]


async def test_asks_for_a_store_that_can_list_its_accounts() -> None:
    class Unlisted(MemoryStore):
        accounts = IdentityStore.accounts

    with pytest.raises(ConfigurationError, match=r"a Unlisted can't list its accounts"):
        await copy_records(Unlisted(), MemoryStore())


def test_its_repr_names_no_account() -> None:
    assert "a-17" not in repr(Copy(different=["a-17"], corrupt=["a-17"]))
