"""What a store must keep to: a suite of tests for any `IdentityStore`, a partner's own included.

    class TestOurStore(StoreContract):
        def make_store(self, place: Path) -> IdentityStore:
            return OurStore(place / "ids")

It runs under pytest and needs none of its plugins.
"""

import asyncio
import os
import random
import warnings
from collections.abc import Awaitable
from unittest import SkipTest

from ..errors import ConfigurationError, StoreCorruptError
from ..stores.base import DamagedIdentity, IdentityStore, State, StoredIdentity
from .store_scenarios import Contract, fresh_active, fresh_pending, scenario

ODD_ACCOUNTS = (
    *("a", "A", "a ", " a", "a%", "a_", "a*", "0", "00", "'; --", '"', "ä", "a\u0308", "\U0001f442"),
    *("x" * 199, "x" * 200, "\U0001f442" * 200),
)
"""Names of accounts that a careless store takes for one another, or can't keep."""


class StoreContract(Contract):
    """The tests. Subclass it under a name that pytest collects, and tell how a store is made."""

    @scenario
    async def test_holds_nothing_at_first(self, store: IdentityStore) -> None:
        assert await store.load("a") is None
        assert await store.forget("a", None) is None
        assert await store.forget("a", fresh_active()) is None

    @scenario
    async def test_returns_each_state_as_it_was_kept(self, store: IdentityStore) -> None:
        active, unseen = fresh_active(), StoredIdentity(state="active", secret=fresh_active().secret, user_id=None)
        for record in (fresh_pending(), active, unseen, active.turned("rejected"), active.turned("erasing")):
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
    async def test_tells_all_of_many_claims_the_one_that_won(self, store: IdentityStore) -> None:
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
    async def test_takes_no_intact_record_for_a_damaged_one(self, store: IdentityStore) -> None:
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
    async def test_does_what_a_plain_table_does(self, store: IdentityStore) -> None:
        chance = random.Random(7)  # noqa: S311 - the same walk each time
        table: dict[str, StoredIdentity] = {}
        states: tuple[State, ...] = ("active", "rejected", "erasing")
        for _ in range(300):
            account, new = chance.choice("abc"), fresh_active().turned(chance.choice(states))
            expected = chance.choice([None, table.get(account), fresh_active()])
            hit = _revision(expected) == _revision(table.get(account))
            match chance.choice(["claim", "replace", "forget"]):
                case "claim":
                    assert await store.claim(account, new) == table.setdefault(account, new)
                case "replace":
                    table.update({account: new} if hit else {})
                    assert await store.replace(account, expected, new) == table.get(account)
                case "forget":
                    table.pop(account if hit else "", None)
                    assert await store.forget(account, expected) == table.get(account)
            assert await store.load(account) == table.get(account)

    @scenario
    async def test_stays_whole_when_callers_are_cancelled(self, store: IdentityStore) -> None:
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
    async def test_stays_open_until_the_last_has_left(self, store: IdentityStore) -> None:
        async with store as same:
            assert same is store
        record = fresh_pending()
        assert await store.claim("a", record) == record

    @scenario
    async def test_keeps_what_it_holds_when_it_is_left(self, store: IdentityStore) -> None:
        self.must_last()
        stored = await store.claim("a", fresh_active())
        async with self.make_store(self.place) as another:
            assert await another.load("a") == stored
            assert await another.forget("a", stored) is None
        assert await store.load("a") is None

    @scenario
    async def test_agrees_with_other_stores_of_the_same_place(self, store: IdentityStore) -> None:
        self.must_last()
        async with self.make_store(self.place) as another:
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
        assert await asyncio.to_thread(lambda: asyncio.run(_refusal(store))) == "ConfigurationError"

    @scenario
    async def test_is_refused_in_a_forked_child(self, store: IdentityStore) -> None:
        assert await asyncio.to_thread(_refused_in_a_child, store)
        assert await store.load("a") is None

    @scenario
    async def test_never_takes_a_damaged_record_for_none(self, store: IdentityStore) -> None:
        damaged, other = await self._damaged(store)
        assert await _corruption(store.load("a")) == damaged.revision
        assert await _corruption(store.claim("a", fresh_pending())) == damaged.revision
        for expected in (None, fresh_active()):
            assert await _corruption(store.replace("a", expected, fresh_pending())) == damaged.revision
            assert await _corruption(store.forget("a", expected)) == damaged.revision
        assert await _corruption(store.forget("a", DamagedIdentity(os.urandom(16)))) == damaged.revision
        assert await store.load("b") == other

    @scenario
    async def test_moves_a_damaged_record_aside_once(self, store: IdentityStore) -> None:
        damaged, other = await self._damaged(store)
        assert await store.forget("a", damaged) is None
        new = fresh_pending()
        assert await store.claim("a", new) == new
        assert await store.forget("a", damaged) == new
        assert await store.load("b") == other

    async def _damaged(self, store: IdentityStore) -> tuple[DamagedIdentity, StoredIdentity]:
        await store.claim("a", fresh_active())
        other = await store.claim("b", fresh_active())
        self.damage(self.place, "a")
        revision = await _corruption(store.load("a"))
        assert revision is not None
        return DamagedIdentity(revision), other


def _revision(record: StoredIdentity | None) -> bytes | None:
    return None if record is None else record.revision


async def _corruption(call: Awaitable[object]) -> bytes | None:
    try:
        await call
    except StoreCorruptError as error:
        return error.revision
    msg = "a damaged record was read, or written over"
    raise AssertionError(msg)


async def _refusal(store: IdentityStore) -> str:
    try:
        await store.load("a")
    except ConfigurationError as error:
        return type(error).__name__
    return "no error"


def _refused_in_a_child(store: IdentityStore) -> bool:
    if not hasattr(os, "fork"):
        msg = "there is no fork on this system"
        raise SkipTest(msg)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: the child ends at once
        child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    status = 1
    try:
        status = 0 if asyncio.run(_refusal(store)) == "ConfigurationError" else 1
    finally:
        os._exit(status)
