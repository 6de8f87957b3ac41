"""Many processes on one keyring."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from mimi_async.stores.keyring.markers import Markers
from tests.conftest import rounds

from .keyrings import keyring_at, store_at
from .test_processes import ROOT, let_go


def started(place: Path, accounts: int, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.stores.keyring_claimant", str(place), str(accounts), *words]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def winners_of(processes: "list[subprocess.Popen[str]]") -> list[list[str]]:
    """Let all claim at once; return what each has found."""
    let_go(processes)
    found = [process.communicate(timeout=100)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return found


async def test_six_processes_that_claim_the_same_accounts_agree(tmp_path: Path) -> None:
    accounts = rounds(30, 300)
    found = winners_of([started(tmp_path, accounts) for _ in range(6)])
    async with store_at(tmp_path) as store:
        stored = [await store.load(f"{number}") for number in range(accounts)]
    revisions = [record.revision.hex() for record in stored if record is not None]
    assert len(revisions) == len(set(revisions)) == accounts
    assert found == [revisions] * 6


async def test_a_process_that_never_pauses_holds_nobody_up_nor_does_one_that_is_killed(tmp_path: Path) -> None:
    victim = started(tmp_path, 10_000)
    let_go([victim])
    async with store_at(tmp_path, timeout=10) as store:
        while not keyring_at(tmp_path).entries():
            await store.load("another")
        for number in range(50):
            await store.load(f"another {number}")
        assert victim.poll() is None
        os.kill(victim.pid, signal.SIGKILL)
        victim.communicate()
        for number in range(20):
            await store.load(f"{number}")


def test_who_comes_back_at_once_goes_behind_who_waits(tmp_path: Path) -> None:
    markers, order = Markers(tmp_path / "service"), []
    markers.open()

    def wait() -> None:
        with markers.lock(lambda: True):
            order.append("who waits")

    waiting = threading.Thread(target=wait)
    with markers.lock(lambda: True):
        waiting.start()
        deadline = time.monotonic() + 30
        while is_free(markers.folder / "door"):
            assert time.monotonic() < deadline, "nobody stands at the door"
    with markers.lock(lambda: True):
        order.append("who comes back")
    waiting.join()
    assert order == ["who waits", "who comes back"]


def is_free(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    time.sleep(0.005)
    return True
