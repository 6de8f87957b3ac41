"""The file: private, complete, and refused where it is not ours."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mimi_async.errors import ConfigurationError, StoreCorruptError, StoreUnavailableError
from mimi_async.sqlite import Database

from .notebook import NOTEBOOK, names, note


async def opened_and_left(path: Path) -> None:
    database = Database(path, NOTEBOOK)
    await database.open()
    await database.close()


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_makes_private_files_in_private_folders(tmp_path: Path) -> None:
    path = tmp_path / "one" / "two" / "notes.sqlite3"
    umask = os.umask(0)
    try:
        database = Database(path, NOTEBOOK)
        await database.open()
        await database.write(note("a"))
    finally:
        os.umask(umask)
    assert {file.name: mode_of(file) for file in path.parent.iterdir()} == {
        "notes.sqlite3": 0o600,
        "notes.sqlite3-wal": 0o600,
        "notes.sqlite3-shm": 0o600,
    }
    assert (mode_of(path.parent), mode_of(path.parent.parent)) == (0o700, 0o700)
    await database.close()
    assert [file.name for file in path.parent.iterdir()] == ["notes.sqlite3"]


async def test_takes_from_others_the_right_to_read(path: Path) -> None:
    await opened_and_left(path)
    path.chmod(0o644)
    await opened_and_left(path)
    assert mode_of(path) == 0o600


async def test_is_durable_private_and_wipes_what_was_deleted(database: Database) -> None:
    def pragma(connection: sqlite3.Connection) -> list[object]:
        wanted = ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted]

    assert await database.read(pragma) == ["wal", 2, 1, 1]


async def test_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"is a folder: name a file in it, such as .*ids\.sqlite3"):
        await opened_and_left(tmp_path)


async def test_refuses_a_folder_that_others_may_write_to(path: Path) -> None:
    path.parent.chmod(0o777)
    with pytest.raises(ConfigurationError, match=r"others may write to .* of your own, or `chmod"):
        await opened_and_left(path)
    assert list(path.parent.iterdir()) == []


async def test_takes_a_folder_that_others_may_only_read(path: Path) -> None:
    path.parent.chmod(0o755)
    await opened_and_left(path)
    assert path.exists()


@pytest.mark.parametrize("leads", ["somewhere", "nowhere"])
async def test_refuses_a_link(path: Path, leads: str) -> None:
    await opened_and_left(path)
    link = path.with_name("link")
    link.symlink_to(path if leads == "somewhere" else path.with_name("absent"))
    with pytest.raises(ConfigurationError, match="is a link or no file: name the file itself"):
        await opened_and_left(link)
    assert not path.with_name("absent").exists()


async def test_refuses_what_is_no_file(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(ConfigurationError, match="is a link or no file"):
        await opened_and_left(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
async def test_refuses_the_file_and_the_folder_of_another_user(path: Path) -> None:
    await opened_and_left(path)
    os.chown(path, 12345, 12345)
    with pytest.raises(ConfigurationError, match="belongs to another user: run as its owner"):
        await opened_and_left(path)
    os.chown(path.parent, 12345, 12345)
    with pytest.raises(ConfigurationError, match=r"the folder .* belongs to another user"):
        await opened_and_left(path)


async def test_refuses_another_program_s_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="is no notebook but another program's database: name another file"):
        await opened_and_left(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", [0, 2])
async def test_refuses_another_version_and_leaves_it_untouched(path: Path, version: int) -> None:
    await opened_and_left(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version={version}")
    before = path.read_bytes()
    with pytest.raises(
        ConfigurationError if version else StoreCorruptError, match=r"newer mimi_async|no schema version"
    ):
        await opened_and_left(path)
    assert path.read_bytes() == before


async def test_no_file_that_is_no_database_is_taken_for_an_empty_one(path: Path) -> None:
    for content in (b"", b"x", b"x" * 5000, b"SQLite format 3\0", bytes(4096)):
        path.write_bytes(content)
        with pytest.raises(StoreCorruptError, match="kept as it is: restore a backup"):
            await opened_and_left(path)
        assert path.read_bytes() == content


@pytest.mark.parametrize("fate", ["removed", "replaced"])
async def test_a_file_that_was_replaced_takes_no_more_writes(database: Database, path: Path, fate: str) -> None:
    await database.write(note("a"))
    aside = path.with_name("aside")
    shutil.copy(path, aside)
    path.unlink() if fate == "removed" else aside.replace(path)
    with pytest.raises(StoreUnavailableError, match="was moved or replaced while it was open: open it again"):
        await database.write(note("b"))
    with pytest.raises(StoreUnavailableError, match="was moved or replaced"):
        await database.read(names)


async def test_a_file_whose_log_was_removed_takes_no_more_writes(database: Database, path: Path) -> None:
    await database.write(note("a"))
    path.with_name(f"{path.name}-wal").unlink()
    with pytest.raises(StoreUnavailableError, match="was moved or replaced"):
        await database.write(note("b"))


OPEN_AT_ONCE = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.sqlite.notebook import NOTEBOOK, note
from mimi_async.sqlite import Database

async def main():
    database = Database(Path(sys.argv[1]), NOTEBOOK)
    print("ready", flush=True)
    sys.stdin.readline()
    await database.open()
    await database.write(note(sys.argv[3]))
    await database.close()

asyncio.run(main())
"""


async def test_six_processes_open_one_new_file_at_once(path: Path) -> None:
    root = Path(__file__).parents[2]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_AT_ONCE, str(path), str(root), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * 6
    database = Database(path, NOTEBOOK)
    await database.open()
    assert await database.read(names) == [str(number) for number in range(6)]
    await database.close()
    assert [file.name for file in path.parent.iterdir()] == ["notes.sqlite3"]
