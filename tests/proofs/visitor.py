"""A worker of a partner's service in these proofs: visits accounts in random order, on whatever store a URL names.

`python -m tests.proofs.visitor` reads its job, one line of JSON. What it has done outlives a kill: a line for a visit
in its own file, and the announced ids in the journal that all share. A worker that takes the place of a killed one does
what is left.
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
"""Fewer than there are accounts: most visits restore anew."""


class Visitor:
    """One worker.

    Args:
        job: `server`, `client_id`, `secret`, `store` (a URL), `journal`, `progress`, `accounts`, `visits`.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._journal = Journal(job["journal"])
        self._progress = Path(job["progress"])
        self._told: set[tuple[str, str, str]] = set()

    def left(self) -> list[str]:
        """The accounts of the visits that are left, in random order."""
        done = Counter(self._progress.read_text().splitlines()) if self._progress.exists() else Counter[str]()
        wanted = Counter(dict.fromkeys(self._job["accounts"], self._job["visits"]))
        left = list((wanted - done).elements())
        random.shuffle(left)
        return left

    async def work(self) -> None:
        """Make the visits that are left; say so when they begin."""
        credentials = ClientCredentials(self._job["client_id"], self._job["secret"])
        store = open_store(self._job["store"])
        core = MimiCore(credentials, server=self._job["server"], store=store, account=None, keep=KEEP)
        core.observe(self._keep)
        visits = iter(self.left())
        async with core, asyncio.TaskGroup() as workers:
            sys.stdout.write("working\n")
            sys.stdout.flush()
            for _ in range(AT_ONCE):
                workers.create_task(self._visit_all(core, visits))

    async def _visit_all(self, core: MimiCore, visits: Any) -> None:
        for account in visits:
            user = await self._visited(core, account)
            self._journal_once(account, "ensured", user)
            with self._progress.open("a") as progress:
                progress.write(f"{account}\n")

    async def _visited(self, core: MimiCore, account: str) -> MimiUser:
        """Visit, and try again where the failure says so: as the person does, who comes back."""
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
        """Be the host's observer: keep the id."""
        if current is not None:
            self._journal_once(sender.account, "told", current)

    def _journal_once(self, account: str, event: str, user: MimiUser) -> None:
        line = (account, event, user.id)
        if line not in self._told:
            self._told.add(line)
            self._journal.write(account, event, user)


def main() -> None:
    """Be the process; kill it at any time."""
    job: Job = json.loads(sys.stdin.readline())
    asyncio.run(_started(Visitor(job)))


async def _started(visitor: Visitor) -> None:
    """Work; a start that fails retryably is tried again, as a supervisor does."""
    while True:
        try:
            return await visitor.work()
        except MimiError as error:
            if not error.retryable:
                raise
            await asyncio.sleep(random.uniform(0.1, 0.5))


if __name__ == "__main__":
    main()
