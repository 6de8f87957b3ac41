"""A worker of a partner's service: ensures the users of accounts in random order, on the store of a URL.

`python -m tests.proofs.worker` reads its job, one line of JSON. Its progress survives a kill: each call is a line in
the worker's file, each update a line in the journal of all workers. A restarted worker makes the remaining calls.
"""

import asyncio
import json
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from mimi_async import AuthController, ClientCredentials, MimiCore, MimiError, MimiUser
from mimi_async.stores import open_store

from .journal import Journal

Job = dict[str, Any]

AT_ONCE = 8
KEEP = 50
"""Fewer than the accounts: most calls restore a controller."""


class Worker:
    """One worker.

    Args:
        job: `server`, `client_id`, `secret`, `store` (a URL), `journal`, `progress`, `accounts`, `calls`.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._journal = Journal(job["journal"])
        self._progress = Path(job["progress"])
        self._written: set[tuple[str, str, str]] = set()

    def remaining_calls(self) -> list[str]:
        """Return the accounts of the remaining calls, in random order."""
        done = Counter(self._progress.read_text().splitlines()) if self._progress.exists() else Counter[str]()
        wanted = Counter(dict.fromkeys(self._job["accounts"], self._job["calls"]))
        left = list((wanted - done).elements())
        random.shuffle(left)
        return left

    async def work(self) -> None:
        """Print "working", and make the remaining calls."""
        credentials = ClientCredentials(self._job["client_id"], self._job["secret"])
        store = open_store(self._job["store"])
        core = MimiCore(credentials, server=self._job["server"], store=store, account=None, max_idle_controllers=KEEP)
        core.observe(self._keep)
        calls = iter(self.remaining_calls())
        async with core, asyncio.TaskGroup() as workers:
            sys.stdout.write("working\n")
            sys.stdout.flush()
            for _ in range(AT_ONCE):
                workers.create_task(self._run_calls(core, calls))

    async def _run_calls(self, core: MimiCore, calls: Any) -> None:
        for account in calls:
            user = await self._ensure_user(core, account)
            self._journal_once(account, "ensured", user)
            with self._progress.open("a") as progress:
                progress.write(f"{account}\n")

    async def _ensure_user(self, core: MimiCore, account: str) -> MimiUser:
        """Ensure a user; repeat after a retryable error."""
        while True:
            try:
                auth = await core.auth_for(account)
                return await auth.ensure_user()
            except MimiError as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(random.uniform(0, 0.2))

    def _keep(
        self, sender: AuthController, *, current: MimiUser | None, old: MimiUser | None, error: MimiError | None
    ) -> None:
        """Write an update to the journal: the observer of the host."""
        if current is not None:
            self._journal_once(sender.account, "update", current)

    def _journal_once(self, account: str, event: str, user: MimiUser) -> None:
        line = (account, event, user.id)
        if line not in self._written:
            self._written.add(line)
            self._journal.write(account, event, user)


def main() -> None:
    """Run the worker. It may be killed at any time."""
    job: Job = json.loads(sys.stdin.readline())
    asyncio.run(_run(Worker(job)))


async def _run(callor: Worker) -> None:
    """Run the worker; repeat after a retryable error of the start, as a supervisor does."""
    while True:
        try:
            return await callor.work()
        except MimiError as error:
            if not error.retryable:
                raise
            await asyncio.sleep(random.uniform(0.1, 0.5))


if __name__ == "__main__":
    main()
