"""Restores: many concurrent ones, on asyncio's loop and on uvloop's, and that of a start."""

import asyncio
import base64
import contextlib
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial

import aiohttp

from .accounts import Accounts, at_once, many_accounts
from .harness import Batch, Curve, Line, Measure, Scale, alternate
from .server import CREDENTIALS

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "foreign_keys=ON", "cell_size_check=ON")
BASIC = "Basic " + base64.b64encode(f"{CREDENTIALS.client_id}:{CREDENTIALS.secret.reveal()}".encode()).decode()
_HEADERS = {"Authorization": BASIC}
_CONCURRENCY = (1, 8, 64, 256)

Call = Callable[[str], Awaitable[object]]
Run = Callable[[Call, Iterable[str]], Awaitable[Batch]]


async def restores(scale: Scale) -> AsyncIterator[Line | Curve]:
    """Restores per second, 64 concurrent, and both curves against the concurrency."""
    async with many_accounts(scale.of(5_000, least=64)) as accounts:
        ours, theirs = await alternate(partial(restore, accounts), partial(_log_in, accounts), scale)
        yield Line(
            what=f"restores/s, {len(accounts.ids):,} accounts, 64 at once",
            against="a bare aiohttp loop",
            ours=ours,
            theirs=theirs,
            goal=0.80,
            moonshot=1.0,
            kind="rate",
        )
        rates: dict[str, dict[int, list[float]]] = {"mimi_async": {}, "bare aiohttp": {}}
        slowest: dict[str, dict[int, list[float]]] = {"mimi_async": {}, "bare aiohttp": {}}
        for workers in _CONCURRENCY:
            latencies: tuple[list[float], list[float]] = ([], [])
            timed = [
                partial(measure, accounts, partial(_run_timed, workers, each))
                for measure, each in zip((restore, _log_in), latencies, strict=True)
            ]
            taken = await alternate(timed[0], timed[1], scale.for_a_curve())
            for name, seconds, each in zip(rates, taken, latencies, strict=True):
                rates[name][workers] = [1 / value for value in seconds]
                slowest[name][workers] = [statistics.quantiles(each, n=100)[98] * 1e3]
    x = "concurrent restores"
    yield Curve(name="restore-rate", title="Restores", x=x, y="restores per second", series=rates)
    yield Curve(name="restore-p99", title="Restores: the 99th percentile", x=x, y="milliseconds", series=slowest)


async def restore(accounts: Accounts, run: Run = at_once) -> Batch:
    """Restore each account once, in a new core."""
    async with accounts.core() as core:
        return await run(core.auth_for, accounts.ids)


async def _log_in(accounts: Accounts, run: Run = at_once) -> Batch:
    # The shortest code that logs in with an id that it already has: one session, its defaults, one POST, the body read.
    url = f"{accounts.url}/v1/sessions"
    async with aiohttp.ClientSession() as session:

        async def log_in(account: str) -> None:
            async with session.post(url, json={"anonymous_id": accounts.ids[account]}, headers=_HEADERS) as reply:
                await reply.json()

        return await run(log_in, accounts.ids)


async def _run_timed(workers: int, latencies: list[float], call: Call, accounts: Iterable[str]) -> Batch:
    async def timed(account: str) -> None:
        start = time.perf_counter()
        await call(account)
        latencies.append(time.perf_counter() - start)

    return await at_once(timed, accounts, workers=workers)


async def on_uvloop(scale: Scale) -> AsyncIterator[Line]:
    """The restores of both on the event loop of uvloop, and ours against asyncio's."""
    import uvloop

    async with many_accounts(scale.of(5_000, least=64)) as accounts:
        ours = partial(_run_in_a_loop, uvloop.new_event_loop, partial(restore, accounts))
        for against, theirs, goal in (
            ("a bare aiohttp loop on uvloop", partial(_log_in, accounts), None),
            ("the same on asyncio's loop", partial(restore, accounts), 1.0),
        ):
            factory = asyncio.new_event_loop if goal else uvloop.new_event_loop
            measured = await alternate(ours, partial(_run_in_a_loop, factory, theirs), scale)
            yield Line(
                what="restores/s on uvloop, 64 at once",
                against=against,
                ours=measured[0],
                theirs=measured[1],
                goal=goal,
                kind="rate",
            )


async def _run_in_a_loop(factory: Callable[[], asyncio.AbstractEventLoop], measure: Measure) -> Batch:
    """Measure in an event loop of its own, in a thread; this loop only waits."""

    def run() -> Batch:
        async def call() -> Batch:
            return await measure()

        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(call())

    return await asyncio.to_thread(run)


async def start(scale: Scale) -> AsyncIterator[Line]:
    """A start with a stored id, until the gate is open."""
    async with many_accounts(1) as accounts:
        ours, theirs = await alternate(partial(_start, accounts), partial(_start_by_hand, accounts), scale)
    yield Line(
        what="start with a stored id",
        against="a session, a POST, a SQLite read",
        ours=ours,
        theirs=theirs,
        goal=1.5,
        moonshot=1.15,
        kind="time",
    )


async def _start(accounts: Accounts) -> Batch:
    began = time.perf_counter()
    async with accounts.core(next(iter(accounts.ids))) as core:
        ended = time.perf_counter()
        assert core.auth.gate.is_open
    return ended - began, 1


async def _start_by_hand(accounts: Accounts) -> Batch:
    # The same work without a promise: the file with the same pragmas, one SELECT, one new session, one POST. It reads
    # in the event loop, which a script may do.
    account = next(iter(accounts.ids))
    began = time.perf_counter()
    with contextlib.closing(sqlite3.connect(accounts.database, isolation_level=None)) as connection:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        select = "SELECT secret FROM identities WHERE account = ?"
        (anonymous_id,) = connection.execute(select, (account,)).fetchone()
        async with aiohttp.ClientSession() as session:
            url, body = f"{accounts.url}/v1/sessions", {"anonymous_id": anonymous_id}
            async with session.post(url, json=body, headers=_HEADERS) as reply:
                user = (await reply.json())["user"]
            ended = time.perf_counter()
    assert user["is_anonymous"]
    return ended - began, 1
