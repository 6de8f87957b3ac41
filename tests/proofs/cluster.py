"""A partner's service beyond one machine, as processes: PostgreSQL, an identity server of two processes, workers."""

import asyncio
import json
import os
import random
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import attrs

from examples.partner_cluster.postgres import Postgres
from mimi_async.server.keyfile import NAMES
from mimi_async.stores.postgres import PostgresStore

from .journal import Journal

ROOT = Path(__file__).parents[2]
_ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("MIMI_")}
PATIENCE = 60.0


@attrs.frozen
class Cluster:
    """What runs: the database, the server, and what a worker has to know.

    Attributes:
        postgres: The database of both the server and the store.
        database: Its name.
        url: Of the identity server.
        folder: Where the journal and the workers' progress are.
    """

    postgres: Postgres
    database: str
    url: str
    folder: Path

    @property
    def store_url(self) -> str:
        """What the workers open."""
        return self.postgres.dsn_of(self.database)

    @property
    def journal(self) -> Journal:
        """What was announced and ensured."""
        return Journal(self.folder / "journal")

    @property
    def users(self) -> int:
        """How many users the identity server holds."""
        return int(self.postgres.tell("SELECT count(user_id) FROM mimi_server.users", self.database))

    def job(self, number: int, accounts: Sequence[str], visits: int) -> dict[str, Any]:
        """What a worker is to do."""
        return {
            "server": self.url,
            "client_id": "mimi-dev",
            "secret": "mimi-dev-secret",
            "store": self.store_url,
            "journal": str(self.folder / "journal"),
            "progress": str(self.folder / f"worker-{number}"),
            "accounts": accounts,
            "visits": visits,
        }

    async def visited(self, workers: int, accounts: Sequence[str], visits: int, kill_every: float | None = None) -> int:
        """Let workers make their visits, and kill one of them every so many seconds; return how many were killed."""
        jobs = [self.job(number, accounts, visits) for number in range(workers)]
        working: dict[int, asyncio.subprocess.Process] = {}
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_lived(number, job, working)) for number, job in enumerate(jobs)]
            killer = group.create_task(_killed(working, kill_every))
            deaths = sum([await task for task in tasks])
            killer.cancel()
        return deaths


async def _lived(number: int, job: dict[str, Any], working: dict[int, asyncio.subprocess.Process]) -> int:
    """Run a worker, and another one in its place for as often as it is killed."""
    pipe, deaths = asyncio.subprocess.PIPE, 0
    while True:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.proofs.visitor", stdin=pipe, stdout=pipe, cwd=ROOT, env=_ENVIRON
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(job).encode() + b"\n")
        await process.stdout.readline()
        working[number] = process
        status = await process.wait()
        del working[number]
        if status == 0:
            return deaths
        assert status == -signal.SIGKILL, f"a worker ended with {status}"
        deaths += 1


async def _killed(working: dict[int, asyncio.subprocess.Process], every: float | None) -> None:
    """Kill one of those that have begun to work: a slow machine would else kill them all in the cradle."""
    while every is not None:
        await asyncio.sleep(every)
        if working:
            with suppress(ProcessLookupError):
                random.choice(list(working.values())).kill()


@asynccontextmanager
async def cluster(postgres: Postgres, folder: Path, workers: int = 2) -> AsyncIterator[Cluster]:
    """Run an identity server of so many processes on a database of its own, with a store beside it."""
    dsn = await asyncio.to_thread(postgres.make_database)
    async with asyncio.timeout(PATIENCE):
        await PostgresStore(dsn).init()
    keys = {name: secrets.token_hex(32) for name in NAMES}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mimi_async", "serve", "--port", "0", "--database", dsn),
        *("--workers", str(workers), "--log-level", "error"),
        stdout=asyncio.subprocess.PIPE,
        env=_ENVIRON | keys,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("serving "), line
        yield Cluster(postgres, dsn.rpartition("/")[2], line.split()[1], folder)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()
