"""A process that claims records, loads them, and forgets or quarantines them; it prints what was reported as done.

python -m tests.databases.postgres.log_outs URL NUMBER
"""

import asyncio
import json
import random
import sys
import uuid

from mimi_async.errors import MimiError
from mimi_async.stores import PostgresStore
from mimi_async.testing.store_contract_base import fresh_active

AT_ONCE = 10


class Worker:
    def __init__(self, store: PostgresStore, number: int) -> None:
        self.done: dict[str, list[str]] = {"forget": [], "quarantine": []}
        self.failures: list[str] = []
        self._store = store
        self._left = number

    async def run(self) -> None:
        while self._left > 0:
            self._left -= 1
            verb = random.choice([*self.done])
            try:
                await self._life(verb, uuid.uuid4().hex)
            except MimiError as error:
                self.failures.append(str(error))

    async def _life(self, verb: str, account: str) -> None:
        record = await self._store.claim(account, fresh_active())
        assert await self._store.load(account) == record
        assert await getattr(self._store, verb)(account, record) is None
        self.done[verb].append(account)


async def main(url: str, number: str) -> None:
    async with PostgresStore(url) as store:
        worker = Worker(store, int(number))
        await asyncio.gather(*(worker.run() for _ in range(AT_ONCE)))
    json.dump({**worker.done, "failures": worker.failures}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
