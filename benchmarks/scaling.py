"""Measure and simulate the figures of docs/scaling.md: `python -m benchmarks.scaling [--quick]`.

The PostgreSQL of the measurement and its clients share the processors: compare the ratios.
"""

import argparse
import asyncio
import random
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass

import asyncpg

from mimi_async.secret import AnonymousId
from mimi_async.stores import PostgresStore, StoredIdentity
from tests.postgres_server import Postgres

AT_ONCE = 64
PARTITIONS = 64

_PARTITIONED = """
CREATE TABLE mimi_store.identities (LIKE mimi_store.plain INCLUDING DEFAULTS, PRIMARY KEY (account))
PARTITION BY HASH (account)"""


async def main(records: int, times: int) -> None:
    """Measure and print everything."""
    with Postgres({"fsync": "on"}) as postgres:
        await _measure_sizes(postgres, records, times)
        await _measure_partitions(postgres, records, times)
        await _measure_changes(postgres, times)
    for line in simulate_restart():
        print(line)


async def _measure_sizes(postgres: Postgres, records: int, times: int) -> None:
    dsn = postgres.make_database()
    small, large = records // 20, records
    async with AsyncExitStack() as stack:
        store = await _open_store(dsn, stack)
        await _fill(dsn, 0, small)
        few = await _rate(lambda number: store.load(f"a-{number % small}"), times)
        await _fill(dsn, small, large)
        many = await _rate(lambda _: store.load(f"a-{random.randrange(large)}"), times)  # noqa: S311
        claims = await _rate(lambda number: store.claim(f"new-{number}", _active()), times)
    table, index = (int(_size(postgres, dsn, what)) / large for what in ("pg_table_size", "pg_indexes_size"))
    print(f"a record takes {table:.0f} B in the table and {index:.0f} B in its index ({large:,} records)")
    print(f"loads: {few:,.0f}/s of {small:,} records, {many:,.0f}/s of {large:,}: {many / few:.2f} ×")
    print(f"durable claims: {claims:,.0f}/s, {AT_ONCE} at once over 10 connections")


async def _measure_partitions(postgres: Postgres, records: int, times: int) -> None:
    rates = []
    for partitioned in (False, True):
        dsn = postgres.make_database()
        async with AsyncExitStack() as stack:
            store = await _open_store(dsn, stack)
            if partitioned:
                await _split(dsn)
            await _fill(dsn, 0, records)
            rates.append(await _rate(lambda _: store.load(f"a-{random.randrange(records)}"), times))  # noqa: S311, B023
    print(
        f"loads from {PARTITIONS} partitions by hash of the account: {rates[1] / rates[0]:.2f} × those from one table"
    )


async def _split(dsn: str) -> None:
    """Partition the empty table; statements and triggers stay as they are."""
    connection = await asyncpg.connect(dsn)
    triggers = await connection.fetch(
        "SELECT pg_get_triggerdef(oid) AS definition FROM pg_trigger WHERE tgrelid = 'mimi_store.identities'::regclass"
    )
    statements = [
        "ALTER TABLE mimi_store.identities RENAME TO plain",
        _PARTITIONED,
        "DROP TABLE mimi_store.plain",
        *(
            f"CREATE TABLE mimi_store.identities_{number} PARTITION OF mimi_store.identities "
            f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {number})"
            for number in range(PARTITIONS)
        ),
        *(trigger["definition"] for trigger in triggers),
    ]
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def _measure_changes(postgres: Postgres, times: int) -> None:
    rates = {}
    for listeners in (None, 0, 10, 50):
        dsn = postgres.make_database()
        async with AsyncExitStack() as stack:
            store = await _open_store(dsn, stack)
            if listeners is None:
                postgres.execute("ALTER TABLE mimi_store.identities DISABLE TRIGGER ALL", dsn.rpartition("/")[2])
            for _ in range(listeners or 0):
                task = asyncio.create_task(_listen(await _enter(PostgresStore(dsn), stack)))
                stack.push_async_callback(_end, task)
            await _fill(dsn, 0, AT_ONCE)
            rates[listeners] = await _rate(_replacer(store), times)
    bare = rates.pop(None)
    print(f"replacements without NOTIFY: {bare:,.0f}/s")
    for listeners, rate in rates.items():
        print(f"replacements with NOTIFY and {listeners} listeners: {rate / bare:.2f} × those")


def _replacer(store: PostgresStore) -> Callable[[int], Awaitable[object]]:
    latest: dict[str, StoredIdentity | None] = {}

    async def replace(number: int) -> None:
        account = f"a-{number % AT_ONCE}"
        found = latest.get(account) or await store.load(account)
        latest[account] = await store.replace(account, found, _active())

    return replace


async def _listen(store: PostgresStore) -> None:
    async with aclosing(store.changes()) as changes:  # type: ignore[type-var]  # an async generator
        async for _ in changes:
            pass


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


@dataclass
class Scene:
    """A simulated service.

    Attributes:
        accounts: Number of accounts used per day.
        workers: Number of processes with `keep` idle controllers each.
        visits: Page views in one session.
        together: Number of concurrent sessions.
    """

    accounts: int
    workers: int
    keep: int
    visits: int
    together: int

    def restores(self, count: int, *, is_sticky: bool) -> list[float]:
        """Return the share of visits with a restore, in each tenth of `count` visits after a restart of all workers."""
        chance = random.Random(7)  # noqa: S311 - the same each time
        held: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(self.workers)]
        sessions = [self._new_session(chance) for _ in range(self.together)]
        shares = [0] * 10
        for number in range(count):
            which = chance.randrange(self.together)
            account, left = sessions[which]
            sessions[which] = (account, left - 1) if left > 1 else self._new_session(chance)
            worker = account % self.workers if is_sticky else chance.randrange(self.workers)
            shares[number * 10 // count] += self._needs_restore(held[worker], account)
        return [share * 10 / count for share in shares]

    def _new_session(self, chance: random.Random) -> tuple[int, int]:
        return chance.randrange(self.accounts), 1 + int(chance.expovariate(1 / self.visits))

    def _needs_restore(self, held: OrderedDict[int, None], account: int) -> bool:
        if account in held:
            held.move_to_end(account)
            return False
        held[account] = None
        if len(held) > self.keep:
            held.popitem(last=False)
        return True


def simulate_restart() -> list[str]:
    """Return the restores after a restart of all workers, for both ways of balancing."""
    scene = Scene(accounts=10_000, workers=50, keep=10, visits=10, together=100)
    lines = []
    for is_sticky, name in ((False, "any worker"), (True, "the worker of its account")):
        shares = scene.restores(100_000, is_sticky=is_sticky)
        lines.append(
            f"visits go to {name}: {shares[0]:.2f} of them restore right after a restart of all workers, "
            f"{sum(shares[5:]) / 5:.2f} in the long run"
        )
    return lines


async def _open_store(dsn: str, stack: AsyncExitStack) -> PostgresStore:
    store = PostgresStore(dsn)
    await store.init()
    return await _enter(store, stack)


async def _enter(store: PostgresStore, stack: AsyncExitStack) -> PostgresStore:
    return await stack.enter_async_context(store)


async def _fill(dsn: str, first: int, last: int) -> None:
    """Write records in bulk, as the store writes them."""
    from mimi_async.stores.postgres.statements import values_of

    accounts = [f"a-{number}" for number in range(first, last)]
    rows = [(account, *values_of(account, _active())) for account in accounts]
    connection = await asyncpg.connect(dsn)
    await connection.copy_records_to_table("identities", schema_name="mimi_store", records=rows)
    await connection.execute("ANALYZE mimi_store.identities")
    await connection.close()


async def _rate(call: Callable[[int], Awaitable[object]], times: int) -> float:
    """Return calls per second, AT_ONCE concurrent."""
    numbers = iter(range(times))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    return times / (time.perf_counter() - start)


def _active() -> StoredIdentity:
    return StoredIdentity.active(AnonymousId(str(uuid.uuid4())), uuid.uuid4().hex)


def _size(postgres: Postgres, dsn: str, function: str) -> str:
    return postgres.execute(f"SELECT {function}('mimi_store.identities')", dsn.rpartition("/")[2])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.scaling", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="check that it runs; the figures mean nothing")
    asyncio.run(main(*((2_000, 200) if parser.parse_args().quick else (1_000_000, 20_000))))
