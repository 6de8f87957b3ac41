"""Many processes on one file."""

import subprocess
import sys
from pathlib import Path

import pytest

from mimi_async.stores import SQLiteStore
from tests.conftest import rounds

ROOT = Path(__file__).parents[2]


def started(path: Path, accounts: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.stores.claimant", str(path), str(accounts)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def let_go(processes: "list[subprocess.Popen[str]]") -> None:
    """Let all begin at once, when all are ready."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


@pytest.mark.parametrize("existing", [False, True], ids=["a new file", "an old file"])
async def test_eight_processes_that_claim_one_account_agree(tmp_path: Path, existing: bool) -> None:
    path, accounts = tmp_path / "ids.sqlite3", rounds(20, 500)
    if existing:
        async with SQLiteStore(path):
            pass
    processes = [started(path, accounts) for _ in range(8)]
    let_go(processes)
    found = [process.communicate(timeout=100)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * 8
    async with SQLiteStore(path) as store:
        stored = [await store.load(f"{number}") for number in range(accounts)]
    revisions = [record.revision.hex() for record in stored if record is not None]
    assert len(revisions) == accounts
    assert found == [revisions] * 8
    assert [file.name for file in tmp_path.iterdir()] == ["ids.sqlite3"]
