"""Accounts with users at a server and ids in a store: the precondition of a restore."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path

import attrs

from mimi_async import MimiCore
from mimi_async.stores import SQLiteStore

from .harness import Batch
from .server import CREDENTIALS, reference_server


@attrs.frozen
class Accounts:
    """Users of a running server.

    Attributes:
        url: The address of the server.
        database: The file of the store.
        ids: Account → revealed anonymousId.
    """

    url: str
    database: Path
    ids: dict[str, str]

    def core(self, account: str | None = None) -> MimiCore:
        """Return a new core over server and store."""
        return MimiCore(CREDENTIALS, server=self.url, store=SQLiteStore(self.database), account=account)


@contextlib.asynccontextmanager
async def many_accounts(count: int) -> AsyncIterator[Accounts]:
    """Run the reference server and create `count` users."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with reference_server(folder) as url:
            accounts = Accounts(url, folder / "ids.sqlite3", {})
            async with accounts.core() as core:

                async def make(account: str) -> None:
                    user = await (await core.auth_for(account)).ensure_user()
                    accounts.ids[account] = user.anonymous_id.reveal()

                await at_once(make, [f"account-{number}" for number in range(count)])
            yield accounts


async def at_once(call: Callable[[str], Awaitable[object]], accounts: Iterable[str], *, workers: int = 64) -> Batch:
    """Call `call` for each account, `workers` concurrently."""
    waiting = iter(accounts)
    counts = [0] * workers

    async def work(worker: int) -> None:
        for account in waiting:
            await call(account)
            counts[worker] += 1

    start = time.perf_counter()
    await asyncio.gather(*(work(worker) for worker in range(workers)))
    return time.perf_counter() - start, sum(counts)
