"""Many callers write to the same few records at once, through several stores: each verb returns what was stored at
some instant between its call and its return. The table keeps the journal that this is compared with.
"""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import attrs
import pytest

from mimi_async.stores import IdentityStore, StoredIdentity
from mimi_async.testing.store_contract_base import fresh_active
from tests.conftest import rounds

from ..postgres_server import Postgres
from .tables import Tables

JOURNAL = """
CREATE TABLE {schema}.journal (
    number bigint GENERATED ALWAYS AS IDENTITY, account text, old bytea, new bytea, written_at double precision
);
CREATE FUNCTION {schema}.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO {schema}.journal (account, old, new, written_at) VALUES (
        CASE TG_OP WHEN 'DELETE' THEN OLD.account ELSE NEW.account END,
        CASE WHEN TG_OP <> 'INSERT' THEN OLD.revision END, CASE WHEN TG_OP <> 'DELETE' THEN NEW.revision END,
        extract(epoch FROM clock_timestamp()));
    RETURN NULL; END $$;
CREATE TRIGGER note_existence AFTER INSERT OR DELETE ON {schema}.identities
FOR EACH ROW EXECUTE FUNCTION {schema}.note();
CREATE TRIGGER note_replacement AFTER UPDATE ON {schema}.identities
FOR EACH ROW WHEN (OLD.revision IS DISTINCT FROM NEW.revision) EXECUTE FUNCTION {schema}.note()
"""

ACCOUNTS = ("a", "b", "c")


@attrs.define
class Call:
    """A verb that was called, and the revision that it returned."""

    account: str
    verb: str
    expected: bytes | None
    new: bytes | None
    called_at: float
    returned_at: float = 0.0
    returned: bytes | None = None


@attrs.frozen
class Period:
    """While something was stored, or nothing: it began after `since`, and was over at `until` at the latest."""

    revision: bytes | None
    since: float
    until: float


async def act(store: IdentityStore, seen: dict[str, StoredIdentity | None], calls: list[Call]) -> None:
    account = random.choice(ACCOUNTS)
    expected, new = seen.get(account), fresh_active()
    choices: dict[str, Callable[[], object]] = {
        "load": lambda: store.load(account),
        "claim": lambda: store.claim(account, new),
        "replace": lambda: store.replace(account, expected, new),
        "forget": lambda: store.forget(account, expected),
        "quarantine": lambda: store.quarantine(account, expected or new),
    }
    (verb,) = random.choices(list(choices), [1, 2, 4, 6, 2])
    written = new.revision if verb in ("claim", "replace") else None
    call = Call(account, verb, None if expected is None else expected.revision, written, time.time())
    found: StoredIdentity | None = await choices[verb]()  # type: ignore[misc]  # each of them is a verb
    call.returned_at, call.returned = time.time(), None if found is None else found.revision
    seen[account] = found
    calls.append(call)


def periods_of(tables: Tables, account: str, calls: list[Call]) -> list[Period]:
    """What was stored, one after another."""
    columns = "encode(old, 'hex'), encode(new, 'hex'), written_at"
    table = f"{tables.schema}.journal WHERE account = '{account}'"
    lines = tables.postgres.execute(f"SELECT {columns} FROM {table} ORDER BY number").splitlines()
    changes = [tuple(line.split("|")) for line in lines]
    assert [old for old, _, _ in changes] == ["", *(new for _, new, _ in changes[:-1])], "a record was lost"
    states = [(None, 0.0), *((bytes.fromhex(new) or None, float(at)) for _, new, at in changes)]
    ends = [*(_written_by(calls, old, new) for old, new, _ in changes), float("inf")]
    return [Period(revision, since, until) for (revision, since), until in zip(states, ends, strict=True)]


def _written_by(calls: list[Call], old: str, new: str) -> float:
    """When the change was known to its maker: at the end of the call that has written it, or of one that deleted."""
    if new:
        return next(call.returned_at for call in calls if call.new == bytes.fromhex(new))
    return max(call.returned_at for call in calls if call.returned is None and call.expected == bytes.fromhex(old))


def is_true(call: Call, periods: list[Period]) -> bool:
    """Return whether the revision that a call returned was stored at an instant of the call."""
    matching = (period for period in periods if period.revision == call.returned)
    return any(period.since <= call.returned_at and call.called_at <= period.until for period in matching)


@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
async def test_each_caller_of_a_race_gets_what_was_stored(postgres: Postgres, isolation: str) -> None:
    tables = Tables.make(postgres)
    tables.execute(JOURNAL.replace("{schema}", tables.schema))
    settings = {"default_transaction_isolation": isolation}
    calls: list[Call] = []
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(tables.pooled(server_settings=settings)) for _ in range(4)]

        async def work(store: IdentityStore) -> None:
            seen: dict[str, StoredIdentity | None] = {}
            for _ in range(rounds(60, 3_000)):
                await act(store, seen, calls)

        await asyncio.gather(*(work(store) for store in stores * 5))
        stored = {account: await stores[0].load(account) for account in ACCOUNTS}
    for account in ACCOUNTS:
        own = [call for call in calls if call.account == account]
        periods = periods_of(tables, account, own)
        record = stored[account]
        assert periods[-1].revision == (None if record is None else record.revision)
        assert [call for call in own if not is_true(call, periods)] == []
        assert [call for call in own if _has_failed_needlessly(call)] == []


def _has_failed_needlessly(call: Call) -> bool:
    """What was expected can't be what was found instead."""
    return (
        call.verb in ("replace", "forget", "quarantine")
        and call.returned is not None
        and call.returned == call.expected
    )
