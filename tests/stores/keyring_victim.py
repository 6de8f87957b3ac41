"""Kill a process at each step of its first opening: `python -m tests.stores.keyring_victim FOLDER`.

In each of the folders FOLDER-1, FOLDER-2, … a child opens a keyring store and is killed before that step: before it
opens, links or removes a file, before and after each call of the keyring, before and after each read and write of the
database. The last child lives. It prints the number of folders.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from mimi_async.databases.sqlite import Database

from .keyrings import keyring_at, store_at

EVENTS = ("open", "os.link", "os.mkdir", "os.remove", "os.rename", "sqlite3.connect")


class Killer:
    """Kills this process at a step."""

    def __init__(self, folder: Path, step: int) -> None:
        self.folder = folder
        self.left = step

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS and str(self.folder) in str(arguments[0]):
            self.step()

    def watch(self, name: str) -> None:
        """Count a step before and after a method of the database."""
        method = getattr(Database, name)

        async def watched(database: Database, *arguments: Any) -> Any:
            self.step()
            outcome = await method(database, *arguments)
            self.step()
            return outcome

        setattr(Database, name, watched)


async def open_until(folder: Path, step: int) -> None:
    killer, backend = Killer(folder, step), keyring_at(folder)
    backend.before = backend.after = lambda _: killer.step()
    for name in ("open", "read", "write"):
        killer.watch(name)
    sys.addaudithook(killer.on_event)
    async with store_at(folder, backend):
        os._exit(0)


def was_killed(folder: Path, step: int) -> bool:
    folder.mkdir()
    child = os.fork()
    if not child:
        try:
            asyncio.run(open_until(folder, step))
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    return status != 0


def main(origin: Path) -> None:
    number = 1
    while was_killed(origin.with_name(f"{origin.name}-{number}"), number):
        number += 1
    sys.stdout.write(str(number))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
