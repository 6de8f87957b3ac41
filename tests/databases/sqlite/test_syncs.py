"""A disk that fails to sync: what was refused may be tried again, what was kept is kept."""

import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from .notebook import read_names

ROOT = Path(__file__).parents[3]


def traceable() -> bool:
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not traceable(), reason="strace is missing, or may not trace here")


def written_while_failing(path: Path, when: str, tries: int) -> list[str]:
    inject = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject=fsync,fdatasync:error=EIO:when={when}"]
    command = [*inject, sys.executable, "-m", "tests.databases.sqlite.writer", str(path), str(tries)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return ended.stdout.splitlines()


async def test_one_failed_sync_at_any_time_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    refusals = set[str]()
    for sync in count(1):
        path = tmp_path / f"{sync}.sqlite3"
        said = written_while_failing(path, str(sync), tries=2)
        refusals |= {line.split()[1] for line in said if line.startswith("refused")}
        if "opening" in said[0]:
            assert "SQLITE_IOERR" in said[0] or "can't be opened" in said[0]
            assert not path.exists() or await read_names(path) == []
        else:
            assert [line for line in said if line.startswith("kept")] == ["kept a", "kept b", "kept c"]
            assert all("SQLITE_IOERR_FSYNC" in line for line in said if line.startswith("refused"))
            assert await read_names(path) == ["a", "b", "c"]
        if "c" in refusals:
            break
    assert refusals == {"opening", "a", "b", "c"}


async def test_nothing_is_called_kept_while_all_syncs_fail(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite3"
    await read_names(path)
    said = written_while_failing(path, "1+", tries=3)
    assert len(said) == 9
    assert all(line.startswith("refused") and "SQLITE_IOERR_FSYNC" in line for line in said)
    assert set(await read_names(path)) <= {"a", "b", "c"}
