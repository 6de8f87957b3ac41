"""A process that writes three notes, each until it is kept: `python -m tests.databases.sqlite.writer FILE`.

It says what came of each try; faults are put under it by `strace`.
"""

import asyncio
import sys

from mimi_async.databases.sqlite import Database
from mimi_async.errors import StoreError

from .notebook import NOTEBOOK, note


async def kept(database: Database, name: str) -> bool:
    try:
        await database.write(note(name))
    except StoreError as error:
        sys.stdout.write(f"refused {name} {error}\n")
        return False
    sys.stdout.write(f"kept {name}\n")
    return True


async def write(path: str, tries: int) -> None:
    database = Database(path, NOTEBOOK)
    try:
        await database.open()
    except StoreError as error:
        sys.stdout.write(f"refused opening {error}\n")
        return
    for name in "abc":
        for _ in range(tries):
            if await kept(database, name):
                break
    await database.close()


asyncio.run(write(sys.argv[1], int(sys.argv[2])))
