"""Kills a process at each step of the keyring store in turn: `python -m tests.stores.keyring_victim PLACE VERB`.

PLACE holds a store whose account "a" is as the verb wants it. For each step a copy of it is made, PLACE-1, PLACE-2, …,
in which a child does the verb and is killed before that step: before it opens, renames or removes a file, or asks the
keyring. It prints, as JSON, whether each child was killed; the last one has lived and was told the outcome.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

from mimi_async.stores import DamagedIdentity, IdentityStore, StoredIdentity
from mimi_async.stores.keyring.texts import read_text

from .keyrings import keyring_at, store_at

STEPS = ("open", "os.rename", "os.remove", "sqlite3.connect")


def record_in(file: Path) -> StoredIdentity:
    record = read_text("a", file.read_text())
    assert isinstance(record, StoredIdentity)
    return record


async def do(verb: str, store: IdentityStore, place: Path) -> object:
    match verb:
        case "load":
            return await store.load("a")
        case "claim":
            return await store.claim("a", record_in(place / "new"))
        case "replace nothing":
            return await store.replace("a", None, record_in(place / "new"))
        case "replace":
            return await store.replace("a", record_in(place / "old"), record_in(place / "new"))
        case "forget":
            return await store.forget("a", record_in(place / "old"))
        case "set aside":
            return await store.set_aside("a", record_in(place / "old"))
    return await store.forget("a", DamagedIdentity(bytes.fromhex((place / "damage").read_text())))


def die_before(step: int) -> None:
    """Kill this process before the given step of the store's thread."""
    left = step

    def hear(event: str, _: object) -> None:
        nonlocal left
        if event in STEPS and threading.current_thread().name == "mimi-keyring":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hear)


async def live_until(step: int, place: Path, verb: str) -> None:
    async with store_at(place, keyring_at(place)) as store:
        die_before(step)
        await do(verb, store, place)
        os._exit(0)


def was_killed(place: Path, verb: str, step: int) -> bool:
    child = os.fork()
    if not child:
        try:
            asyncio.run(live_until(step, place, verb))
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    return status != 0


def main(origin: Path, verb: str) -> None:
    killed = [True]
    while killed[-1]:
        place = origin.with_name(f"{origin.name}-{len(killed)}")
        shutil.copytree(origin, place)
        killed.append(was_killed(place, verb, len(killed)))
    sys.stdout.write(json.dumps(killed[1:]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
