"""A suite of tests for any `IdentityStore`, a partner's own included.

    class TestOurStore(StoreContract):
        def make_store(self, folder: Path) -> IdentityStore:
            return OurStore(folder / "ids")

It runs under pytest and needs none of its plugins.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar, TypeVar
from unittest import SkipTest

from ..stores.base import DamagedIdentity, IdentityStore, State, StoredIdentity
from .store_contract_base import (
    fresh_active,
    fresh_pending,
    is_refused,
    is_refused_in_forked_child,
    read_corrupt_revision,
)

ODD_ACCOUNTS = (
    *("a", "A", "a ", " a", "a%", "a_", "a*", "0", "00", "'; --", '"', "ä", "a\u0308", "\U0001f442"),
    *("x" * 199, "x" * 200, "\U0001f442" * 200),
)
"""Names of accounts that a store may confuse, or may fail to store."""

_Contract = TypeVar("_Contract", bound="StoreContract")


def scenario(body: Callable[[_Contract, IdentityStore], Awaitable[None]]) -> Callable[[_Contract, Path], None]:
    """Turn a coroutine function that takes an open, empty store into a test."""

    async def run(contract: _Contract) -> None:
        async with asyncio.timeout(contract.timeout), contract.make_store(contract.folder) as store:
            await body(contract, store)

    def test(self: _Contract, tmp_path: Path) -> None:
        self.folder = tmp_path
        asyncio.run(run(self))

    test.__name__, test.__qualname__, test.__doc__ = body.__name__, body.__qualname__, body.__doc__
    return test


class StoreContract:
    """The tests. Subclass it under a name that pytest collects, and override `make_store`.

    Attributes:
        timeout: Seconds after which a test fails, because the store hangs.
        is_persistent: Whether a store finds the records of an earlier store of the same folder. False in memory.
        folder: An empty folder of the test, in which the store may create files.
    """

    timeout: ClassVar[float] = 60.0
    is_persistent: ClassVar[bool] = True
    folder: Path

    def make_store(self, folder: Path) -> IdentityStore:
        """Return a new store, not entered. Within a test, stores of one folder share their records."""
        raise NotImplementedError

    def damage(self, folder: Path, account: str) -> None:
        """Make the record of the account unreadable, without the store. Override it if that is possible."""
        msg = f"this contract does not say how to damage the record of {account!r} in {folder}"
        raise SkipTest(msg)

    def require_persistence(self) -> None:
        """Skip the test if the store is not persistent."""
        if not self.is_persistent:
            msg = "this store is not persistent"
            raise SkipTest(msg)

    @scenario
    async def test_holds_nothing_at_first(self, store: IdentityStore) -> None:
        assert await store.load("a") is None
        assert await store.forget("a", None) is None
        assert await store.forget("a", fresh_active()) is None

    @scenario
    async def test_returns_each_state_as_it_was_stored(self, store: IdentityStore) -> None:
        active, unseen = fresh_active(), StoredIdentity(state="active", secret=fresh_active().secret, user_id=None)
        for record in (fresh_pending(), active, unseen, active.with_state("rejected"), active.with_state("erasing")):
            assert await store.replace("a", await store.load("a"), record) == record
            assert await store.load("a") == record

    @scenario
    async def test_lets_the_first_claim_win(self, store: IdentityStore) -> None:
        first, second = fresh_pending(), fresh_pending()
        assert await store.claim("a", first) == first
        assert await store.claim("a", second) == first
        assert await store.claim("a", first) == first
        assert await store.load("a") == first

    @scenario
    async def test_returns_the_winner_to_all_of_many_claims(self, store: IdentityStore) -> None:
        winners = await asyncio.gather(*(store.claim("a", fresh_pending()) for _ in range(100)))
        stored = await store.load("a")
        assert all(winner == stored for winner in winners)

    @scenario
    async def test_replaces_only_what_was_expected(self, store: IdentityStore) -> None:
        first, second, third = fresh_pending(), fresh_active(), fresh_active()
        assert await store.replace("a", first, second) is None
        assert await store.load("a") is None
        assert await store.replace("a", None, first) == first
        assert await store.replace("a", None, second) == first
        assert await store.replace("a", first, second) == second
        assert await store.replace("a", first, third) == second
        assert await store.load("a") == second

    @scenario
    async def test_compares_revisions_and_nothing_else(self, store: IdentityStore) -> None:
        stored, other = fresh_active(), fresh_active()
        same_revision = StoredIdentity(
            state="erasing", secret=other.secret, user_id=None, revision=stored.revision, changed_at=0.0
        )
        same_fields = StoredIdentity(state="active", secret=stored.secret, user_id=stored.user_id)
        await store.claim("a", stored)
        assert await store.replace("a", same_fields, other) == stored
        assert await store.forget("a", same_fields) == stored
        assert await store.replace("a", same_revision, other) == other

    @scenario
    async def test_lets_one_of_many_replacements_win(self, store: IdentityStore) -> None:
        first = await store.claim("a", fresh_pending())
        found = await asyncio.gather(*(store.replace("a", first, fresh_active()) for _ in range(100)))
        stored = await store.load("a")
        assert all(record == stored for record in found)

    @scenario
    async def test_forgets_only_what_was_expected(self, store: IdentityStore) -> None:
        stored = await store.claim("a", fresh_active())
        assert await store.forget("a", None) == stored
        assert await store.forget("a", fresh_active()) == stored
        assert await store.forget("a", stored) is None
        assert await store.load("a") is None
        assert await store.forget("a", stored) is None
        again = fresh_pending()
        assert await store.claim("a", again) == again

    @scenario
    async def test_does_not_take_an_intact_record_for_a_damaged_one(self, store: IdentityStore) -> None:
        stored = await store.claim("a", fresh_active())
        assert await store.forget("a", DamagedIdentity(stored.revision)) == stored
        assert await store.load("a") == stored

    @scenario
    async def test_keeps_accounts_apart(self, store: IdentityStore) -> None:
        records = {account: fresh_active() for account in ODD_ACCOUNTS}
        await asyncio.gather(*(store.claim(account, record) for account, record in records.items()))
        for account in ODD_ACCOUNTS[::2]:
            assert await store.forget(account, records.pop(account)) is None
        for account in ODD_ACCOUNTS:
            assert await store.load(account) == records.get(account)

    @scenario
    async def test_behaves_like_a_dict(self, store: IdentityStore) -> None:
        rng = random.Random(7)  # noqa: S311 - the same sequence in each run
        table: dict[str, StoredIdentity] = {}
        states: tuple[State, ...] = ("active", "rejected", "erasing")
        for _ in range(300):
            account, new = rng.choice("abc"), fresh_active().with_state(rng.choice(states))
            expected = rng.choice([None, table.get(account), fresh_active()])
            stored = table.get(account)
            is_expected = (expected and expected.revision) == (stored and stored.revision)
            match rng.choice(["claim", "replace", "forget"]):
                case "claim":
                    assert await store.claim(account, new) == table.setdefault(account, new)
                case "replace":
                    table.update({account: new} if is_expected else {})
                    assert await store.replace(account, expected, new) == table.get(account)
                case "forget":
                    table.pop(account if is_expected else "", None)
                    assert await store.forget(account, expected) == table.get(account)
            assert await store.load(account) == table.get(account)

    @scenario
    async def test_stays_consistent_when_callers_are_cancelled(self, store: IdentityStore) -> None:
        accounts = [f"a-{number}" for number in range(100)]
        records = {account: fresh_pending() for account in accounts}
        claims = [asyncio.create_task(store.claim(account, record)) for account, record in records.items()]
        await asyncio.sleep(0)
        for claim in claims[::2]:
            claim.cancel()
        await asyncio.gather(*claims, return_exceptions=True)
        for account, record in records.items():
            assert await store.claim(account, fresh_pending()) in (record, await store.load(account))
        assert [await store.load(account) for account in accounts[1::2]] == list(records.values())[1::2]

    @scenario
    async def test_stays_open_until_the_last_exit(self, store: IdentityStore) -> None:
        async with store as same:
            assert same is store
        record = fresh_pending()
        assert await store.claim("a", record) == record

    @scenario
    async def test_keeps_its_records_when_it_is_closed(self, store: IdentityStore) -> None:
        self.require_persistence()
        stored = await store.claim("a", fresh_active())
        async with self.make_store(self.folder) as another:
            assert await another.load("a") == stored
            assert await another.forget("a", stored) is None
        assert await store.load("a") is None

    @scenario
    async def test_agrees_with_another_store_of_the_same_folder(self, store: IdentityStore) -> None:
        self.require_persistence()
        async with self.make_store(self.folder) as another:
            for number in range(20):
                claims = [each.claim(f"a-{number}", fresh_pending()) for each in (store, another) * 5]
                winners = await asyncio.gather(*claims)
                assert winners == [await store.load(f"a-{number}")] * 10

    @scenario
    async def test_shows_no_secret(self, store: IdentityStore) -> None:
        stored = await store.claim("a", fresh_active())
        assert stored.secret.reveal() not in repr((store, stored, vars(store)))

    @scenario
    async def test_is_refused_in_another_event_loop(self, store: IdentityStore) -> None:
        assert await asyncio.to_thread(asyncio.run, is_refused(store))

    @scenario
    async def test_is_refused_in_a_forked_child(self, store: IdentityStore) -> None:
        assert await asyncio.to_thread(is_refused_in_forked_child, store)
        assert await store.load("a") is None

    @scenario
    async def test_never_takes_a_damaged_record_for_a_missing_one(self, store: IdentityStore) -> None:
        damaged, other = await self._damage_record(store)
        assert await read_corrupt_revision(store.load("a")) == damaged.revision
        assert await read_corrupt_revision(store.claim("a", fresh_pending())) == damaged.revision
        for expected in (None, fresh_active()):
            assert await read_corrupt_revision(store.replace("a", expected, fresh_pending())) == damaged.revision
            assert await read_corrupt_revision(store.forget("a", expected)) == damaged.revision
        assert await read_corrupt_revision(store.forget("a", DamagedIdentity(os.urandom(16)))) == damaged.revision
        assert await store.load("b") == other

    @scenario
    async def test_quarantines_a_damaged_record_once(self, store: IdentityStore) -> None:
        damaged, other = await self._damage_record(store)
        assert await store.forget("a", damaged) is None
        new = fresh_pending()
        assert await store.claim("a", new) == new
        assert await store.forget("a", damaged) == new
        assert await store.load("b") == other

    async def _damage_record(self, store: IdentityStore) -> tuple[DamagedIdentity, StoredIdentity]:
        await store.claim("a", fresh_active())
        other = await store.claim("b", fresh_active())
        self.damage(self.folder, "a")
        revision = await read_corrupt_revision(store.load("a"))
        assert revision is not None
        return DamagedIdentity(revision), other
