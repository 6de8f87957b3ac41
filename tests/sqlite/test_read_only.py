"""A disk that can't be written to: what is there is read where that is possible, and never taken for nothing."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mimi_async.sqlite import Database

from .notebook import NOTEBOOK, names, note

ROOT = Path(__file__).parents[2]


async def written(path: Path) -> None:
    database = Database(path, NOTEBOOK)
    await database.open()
    await database.write(note("old"))
    await database.close()


def said_by_a_writer(*wrapper: str, path: Path) -> str:
    command = [*wrapper, sys.executable, "-m", "tests.sqlite.writer", str(path), "1"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout


def may_mount() -> bool:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="only root may mount")
@pytest.mark.parametrize("existing", [False, True], ids=["no file", "a file"])
async def test_a_read_only_disk_is_no_empty_one(path: Path, existing: bool) -> None:
    if existing:
        await written(path)
    remount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    said = said_by_a_writer("unshare", "--mount", "sh", "-c", remount, str(path.parent), path=path)
    assert said.startswith("refused opening the notebook")
    assert ("can't be opened: Read-only file system" in said) or ("does not answer (SQLITE_" in said)
    assert path.exists() == existing


ANOTHER = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def may_be_another() -> bool:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return False
    command = [*ANOTHER, sys.executable, "-c", "import mimi_async"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_be_another(), reason="only root may become another user, who may run this Python")
async def test_a_file_that_may_only_be_read_takes_no_write(path: Path) -> None:
    await written(path)
    for folder in path.parents[1:]:
        if Path(tempfile.gettempdir()) in folder.parents:
            folder.chmod(0o755)
    path.chmod(0o400)
    path.parent.chmod(0o500)
    for place in (path, path.parent):
        os.chown(place, 65534, 65534)
    said = said_by_a_writer(*ANOTHER, path=path)
    assert said.splitlines()[0].startswith("refused")
    assert "does not answer (SQLITE_" in said
    database = Database(path, NOTEBOOK)
    os.chown(path, 0, 0)
    os.chown(path.parent, 0, 0)
    await database.open()
    assert await database.read(names) == ["old"]
    await database.close()
