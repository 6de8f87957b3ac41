"""The file: private, complete, and refused where it is not ours."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mimi_async.databases.sqlite import Database
from mimi_async.errors import ConfigurationError, StoreCorruptError, StoreUnavailableError

from .notebook import NOTEBOOK, names, note, read_names


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_makes_private_files_in_private_folders(tmp_path: Path) -> None:
    path = tmp_path / "one" / "two" / "notes.sqlite3"
    umask = os.umask(0)
    try:
        database = Database(path, NOTEBOOK, "folder")
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
    await read_names(path)
    path.chmod(0o644)
    await read_names(path)
    assert mode_of(path) == 0o600


async def test_is_durable_private_and_wipes_what_was_deleted(database: Database) -> None:
    def pragma(connection: sqlite3.Connection) -> list[object]:
        wanted = ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted]

    assert await database.read(pragma) == ["wal", 2, 1, 1]


async def test_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"is a folder: name a file in it, such as .*ids\.sqlite3"):
        await read_names(tmp_path)


async def test_refuses_a_folder_that_others_may_write_to(path: Path) -> None:
    path.parent.chmod(0o777)
    with pytest.raises(ConfigurationError, match=r"others may write to .* of your own, or `chmod"):
        await read_names(path)
    assert list(path.parent.iterdir()) == []


async def test_takes_a_folder_that_others_may_only_read(path: Path) -> None:
    path.parent.chmod(0o755)
    await read_names(path)
    assert path.exists()


@pytest.mark.parametrize("kind", ["a link", "a link to nothing", "a pipe"])
async def test_refuses_what_is_not_a_regular_file(path: Path, kind: str) -> None:
    await read_names(path)
    other = path.with_name("other")
    os.mkfifo(other) if kind == "a pipe" else other.symlink_to(path if kind == "a link" else path.with_name("absent"))
    with pytest.raises(ConfigurationError, match="is a link or not a regular file: name the file itself"):
        await read_names(other)
    assert not path.with_name("absent").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
async def test_refuses_the_file_and_the_folder_of_another_user(path: Path) -> None:
    await read_names(path)
    os.chown(path, 12345, 12345)
    with pytest.raises(ConfigurationError, match="belongs to another user: run as its owner"):
        await read_names(path)
    os.chown(path.parent, 12345, 12345)
    with pytest.raises(ConfigurationError, match=r"the folder .* belongs to another user"):
        await read_names(path)


async def test_refuses_another_program_s_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="is another program's database, not the notebook: name another file"):
        await read_names(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", [0, 2])
async def test_refuses_another_version_and_leaves_it_untouched(path: Path, version: int) -> None:
    await read_names(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version={version}")
    before = path.read_bytes()
    with pytest.raises(
        ConfigurationError if version else StoreCorruptError, match=r"newer mimi_async|no schema version"
    ):
        await read_names(path)
    assert path.read_bytes() == before


async def test_a_file_that_is_not_a_database_is_not_taken_for_an_empty_one(path: Path) -> None:
    for content in (b"", b"x", b"x" * 5000, b"SQLite format 3\0", bytes(4096)):
        path.write_bytes(content)
        with pytest.raises(StoreCorruptError, match="kept as it is: restore a backup"):
            await read_names(path)
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
