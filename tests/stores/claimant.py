"""A process that claims accounts of one SQLite store: `python -m tests.stores.claimant FILE ACCOUNTS`.

It says "ready", waits for a line, claims, and says for each account whose claim it found: the revision, in hex.
"""

import asyncio
import sys

from mimi_async.identity import CreateKey
from mimi_async.stores import SQLiteStore, StoredIdentity


async def claim(path: str, accounts: int) -> None:
    async with SQLiteStore(path) as store:
        records = {f"{number}": StoredIdentity.pending(CreateKey.fresh()) for number in range(accounts)}
        winners = await asyncio.gather(*(store.claim(account, record) for account, record in records.items()))
    sys.stdout.write("".join(f"{winner.revision.hex()}\n" for winner in winners))


sys.stdout.write("ready\n")
sys.stdout.flush()
sys.stdin.readline()
asyncio.run(claim(sys.argv[1], int(sys.argv[2])))
