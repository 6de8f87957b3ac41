"""Restores and claims against the number of stored accounts."""

import itertools
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import attrs

from mimi_async.secret import AnonymousId, CreateKey
from mimi_async.stores import SQLiteStore, StoredIdentity

from .accounts import Accounts, at_once, many_accounts
from .harness import Batch, Curve, Line, Scale, alternate
from .restores import restore

_STORED = (1_000, 10_000, 100_000, 1_000_000)


async def sizes(scale: Scale) -> AsyncIterator[Line | Curve]:
    """Restores of 1,000 accounts among up to 1,000,000, and claims beside them."""
    stored = [scale.of(count, least=64) for count in _STORED]
    rates: dict[str, dict[int, list[float]]] = {"restores": {}, "claims": {}}
    async with many_accounts(stored[0]) as accounts:
        with tempfile.TemporaryDirectory() as folder:
            few = attrs.evolve(accounts, database=Path(folder, "few.sqlite3"))
            shutil.copy(accounts.database, few.database)
            numbers = itertools.count()
            for before, count in zip([stored[0], *stored], stored, strict=False):
                await _fill(accounts, before, count)
                measured = await alternate(
                    partial(restore, accounts), partial(_claim, accounts, numbers, scale.of(5_000)), scale.for_a_curve()
                )
                for name, seconds in zip(rates, measured, strict=True):
                    rates[name][count] = [1 / value for value in seconds]
            # Our own code with few accounts: the figure is what the stored ones add. The server has the users that are
            # restored, and no others.
            ours, theirs = await alternate(partial(restore, accounts), partial(restore, few), scale)
    yield Line(
        what=f"a restore, {stored[-1]:,} accounts stored",
        against=f"with {stored[0]:,}",
        ours=ours,
        theirs=theirs,
        goal=1.2,
        moonshot=1.05,
        kind="time",
    )
    yield Curve(
        name="stored-accounts",
        title="Restores and claims against the size of a SQLite store",
        x="stored accounts",
        y="per second, 64 at once",
        series=rates,
    )


async def _fill(accounts: Accounts, first: int, last: int) -> None:
    """Store records without a user beside those that are restored, in all pages of the table."""
    async with SQLiteStore(accounts.database) as store:

        async def claim(account: str) -> None:
            record = StoredIdentity.active(AnonymousId(str(uuid.uuid4())), uuid.uuid4().hex)
            await store.claim(account, record)

        names = (_name_beside(accounts, number) for number in range(first, last))
        await at_once(claim, names, workers=1024)


async def _claim(accounts: Accounts, numbers: Iterator[int], count: int) -> Batch:
    record = StoredIdentity.pending(CreateKey.generate())
    async with SQLiteStore(accounts.database) as store:
        names = [f"{_name_beside(accounts, number)}-new" for number in itertools.islice(numbers, count)]
        return await at_once(lambda account: store.claim(account, record), names)


def _name_beside(accounts: Accounts, number: int) -> str:
    """Return a name that sorts next to one of the restored accounts, one after the other."""
    users = len(accounts.ids)
    return f"account-{number % users}-{number // users}"
