"""A disk that can't be written to: its records are read where that is possible, and never lost."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from .notebook import note, open_notebook, read_names

ROOT = Path(__file__).parents[3]


async def write_old_note(path: Path) -> None:
    async with open_notebook(path) as database:
        await database.write(note("old"))


def run_writer(*wrapper: str, path: Path) -> str:
    command = [*wrapper, sys.executable, "-m", "tests.databases.sqlite.writer", str(path), "1"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout


def may_mount() -> bool:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="only root may mount")
@pytest.mark.parametrize("existing", [False, True], ids=["no file", "a file"])
async def test_a_read_only_disk_is_not_taken_for_an_empty_one(path: Path, existing: bool) -> None:
    if existing:
        await write_old_note(path)
    remount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    output = run_writer("unshare", "--mount", "sh", "-c", remount, str(path.parent), path=path)
    assert output.startswith("refused opening the notebook")
    assert ("can't be opened: Read-only file system" in output) or ("does not answer (SQLITE_" in output)
    assert path.exists() == existing


ANOTHER = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def may_be_another() -> bool:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return False
    command = [*ANOTHER, sys.executable, "-c", "import mimi_async"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(
    not may_be_another(), reason="only root may become another user; that user must be able to run this Python"
)
async def test_a_file_that_may_only_be_read_takes_no_write(path: Path) -> None:
    await write_old_note(path)
    for folder in path.parents[1:]:
        if Path(tempfile.gettempdir()) in folder.parents:
            folder.chmod(0o755)
    path.chmod(0o400)
    path.parent.chmod(0o500)
    for owned in (path, path.parent):
        os.chown(owned, 65534, 65534)
    output = run_writer(*ANOTHER, path=path)
    assert output.splitlines()[0].startswith("refused")
    assert "does not answer (SQLITE_" in output
    for owned in (path, path.parent):
        os.chown(owned, 0, 0)
    assert await read_names(path) == ["old"]
