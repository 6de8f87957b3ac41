"""Processes that claim the same accounts of one store at the same time.

`python -m tests.stores.claimant KIND FOLDER ACCOUNTS PROCESSES` forks the processes, and prints the revisions that each
of them has found, in hex, as JSON.
"""

import asyncio
import json
import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mimi_async.stores import IdentityStore, KeyringStore, SQLiteStore
from mimi_async.testing.store_contract_base import fresh_pending

from .keyrings import SERVICE, store_at

ROOT = Path(__file__).parents[2]

STORES: dict[str, Callable[[Path], IdentityStore]] = {
    "sqlite": lambda folder: SQLiteStore(folder / "ids.sqlite3"),
    "keyring": lambda folder: store_at(folder, timeout=100),
    "system": lambda folder: KeyringStore(SERVICE, path=folder / "ids.sqlite3", timeout=100),
}


def claim_at_once(kind: str, folder: Path, *, accounts: int = 1, processes: int) -> list[list[str]]:
    """Return the revisions that each process has found, account by account."""
    command = [sys.executable, "-m", "tests.stores.claimant", kind, str(folder), str(accounts), str(processes)]
    ended = subprocess.run(command, cwd=ROOT, check=True, timeout=100, stdout=subprocess.PIPE, text=True)
    found: list[list[str]] = json.loads(ended.stdout)
    return found


async def claim(kind: str, folder: Path, accounts: int) -> list[str]:
    async with STORES[kind](folder) as store:
        winners = await asyncio.gather(*(store.claim(f"{number}", fresh_pending()) for number in range(accounts)))
    return [winner.revision.hex() for winner in winners]


def main(kind: str, folder: str, accounts: str, processes: str) -> None:
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(int(processes))
    found: multiprocessing.SimpleQueue[list[str]] = fork.SimpleQueue()

    def run() -> None:
        barrier.wait(60)
        found.put(asyncio.run(claim(kind, Path(folder), int(accounts))))

    children = [fork.Process(target=run) for _ in range(int(processes))]
    for child in children:
        child.start()
    json.dump([found.get() for _ in children], sys.stdout)
    for child in children:
        child.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
