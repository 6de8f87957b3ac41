"""The processes of a large partner: PostgreSQL, an identity server with two processes, and workers."""

import asyncio
import json
import random
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import attrs

from mimi_async.stores.postgres import PostgresStore

from ..postgres_server import Postgres
from ..server.on_postgres import an_environment
from ..server.processes import ENVIRON, serving
from .journal import Journal

ROOT = Path(__file__).parents[2]
TIMEOUT = 60.0


@attrs.frozen
class Cluster:
    """The running processes.

    Attributes:
        postgres: The database server of identity server and store.
        database: The name of the database.
        url: The address of the identity server.
        folder: The folder of the journal and of the workers' progress files.
    """

    postgres: Postgres
    database: str
    url: str
    folder: Path

    @property
    def store_url(self) -> str:
        """The address of the store."""
        return self.postgres.dsn_of(self.database)

    @property
    def journal(self) -> Journal:
        """The journal of all workers."""
        return Journal(self.folder / "journal")

    @property
    def users(self) -> int:
        """The number of users of the identity server."""
        return int(self.postgres.execute("SELECT count(user_id) FROM mimi_server.users", self.database))

    @property
    def calls(self) -> int:
        """The number of calls that the workers have made."""
        return sum(len(path.read_text().splitlines()) for path in self.folder.glob("worker-*"))

    def job(self, number: int, accounts: Sequence[str], calls: int) -> dict[str, Any]:
        """Return the job of a worker."""
        return {
            "server": self.url,
            "client_id": "mimi-dev",
            "secret": "mimi-dev-secret",
            "store": self.store_url,
            "journal": str(self.folder / "journal"),
            "progress": str(self.folder / f"worker-{number}"),
            "accounts": accounts,
            "calls": calls,
        }

    async def run_workers(self, workers: int, accounts: Sequence[str], calls: int, kills: int = 0) -> int:
        """Run workers until all calls are made; kill one after each of `kills` equal shares; return how many died."""
        jobs = [self.job(number, accounts, calls) for number in range(workers)]
        working: dict[int, asyncio.subprocess.Process] = {}
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_run_worker(number, job, working)) for number, job in enumerate(jobs)]
            share = workers * len(accounts) * calls / (kills + 1)
            killer = group.create_task(self._kill_workers(working, [share * number for number in range(1, kills + 1)]))
            died = sum([await task for task in tasks])
            killer.cancel()
        return died

    async def _kill_workers(self, working: dict[int, asyncio.subprocess.Process], shares: Sequence[float]) -> None:
        """Kill a random worker each time when so many calls have been made, whatever time they take."""
        for share in shares:
            while self.calls < share or not working:  # noqa: ASYNC110 - other processes count
                await asyncio.sleep(0.02)
            with suppress(ProcessLookupError):
                random.choice(list(working.values())).kill()


async def _run_worker(number: int, job: dict[str, Any], working: dict[int, asyncio.subprocess.Process]) -> int:
    """Run a worker, and restart it each time it is killed; return the number of kills."""
    pipe, kills = asyncio.subprocess.PIPE, 0
    while True:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.proofs.worker", stdin=pipe, stdout=pipe, cwd=ROOT, env=ENVIRON
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(job).encode() + b"\n")
        await process.stdout.readline()
        working[number] = process
        status = await process.wait()
        del working[number]
        if status == 0:
            return kills
        assert status == -signal.SIGKILL, f"a worker ended with {status}"
        kills += 1


@asynccontextmanager
async def cluster(postgres: Postgres, folder: Path, workers: int = 2) -> AsyncIterator[Cluster]:
    """Run an identity server with `workers` processes on a new database that also holds the store."""
    dsn = await asyncio.to_thread(postgres.make_database)
    async with asyncio.timeout(TIMEOUT):
        await PostgresStore(dsn).init()
    options = ("--workers", str(workers), "--log-level", "error")
    async with serving(dsn, *options, environ=an_environment()) as server:
        yield Cluster(postgres, dsn.rpartition("/")[2], server.url, folder)
