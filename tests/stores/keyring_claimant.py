"""A process that claims accounts of one keyring: `python -m tests.stores.keyring_claimant PLACE ACCOUNTS [system]`.

It says "ready", waits for a line, claims, and says for each account whose claim it found: the revision, in hex. The
keyring is that of the place, or the operating system's.
"""

import asyncio
import random
import sys
from pathlib import Path

from mimi_async.identity import CreateKey
from mimi_async.stores import KeyringStore, StoredIdentity

from .keyrings import SERVICE, store_at


async def claim(place: Path, accounts: int, *, in_the_system: bool) -> None:
    system = KeyringStore(SERVICE, folder=place / "markers", timeout=100)
    async with system if in_the_system else store_at(place, timeout=100) as store:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        names = [f"{number}" for number in range(accounts)]
        claims = {name: store.claim(name, StoredIdentity.pending(CreateKey.fresh())) for name in names}
        random.shuffle(names)
        tasks = {name: asyncio.create_task(claims[name]) for name in names}
        winners = [await tasks[name] for name in claims]
    sys.stdout.write("".join(f"{winner.revision.hex()}\n" for winner in winners))


if __name__ == "__main__":
    asyncio.run(claim(Path(sys.argv[1]), int(sys.argv[2]), in_the_system=sys.argv[3:] == ["system"]))
