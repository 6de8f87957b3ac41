"""File systems without hard links or without modes: the database is created there too, complete, and once."""

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mimi_async.errors import ConfigurationError, StoreUnavailableError

from ...exfat import exfat
from .notebook import note, open_notebook, read_names


def refusing(number: int) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


async def test_exfat_holds_a_database_and_all_that_was_written_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with exfat(tmp_path) as folder:
        path = folder / "folder" / "notes.sqlite3"
        async with open_notebook(path, "folder") as database:
            await database.write(note("a"))
        assert await read_names(path) == ["a"]
        assert [file.name for file in path.parent.iterdir()] == ["notes.sqlite3"]
    (created,) = caplog.messages
    assert created.endswith("new and empty")


async def test_a_mount_that_lets_others_write_is_refused_with_the_option_that_forbids_it(tmp_path: Path) -> None:
    with exfat(tmp_path, "umask=000") as folder:
        with pytest.raises(ConfigurationError, match=r"others may write to .*, or mount .* uid=\d+,umask=077"):
            await read_names(folder / "notes.sqlite3")
        assert list(folder.iterdir()) == []


async def test_a_mount_that_lets_others_read_is_used_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with exfat(tmp_path, "uid={uid},gid={gid},umask=022") as folder:
        assert await read_names(folder / "notes.sqlite3") == []
    (_, level, text), _ = sorted(caplog.record_tuples, key=lambda record: "new and empty" in record[2])
    assert level == logging.WARNING
    assert "other users of this machine can read it: mount its file system with uid=" in text


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
async def test_where_the_file_system_refuses_links_the_file_is_renamed_into_place(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "link", refusing(number))
    assert await read_names(path) == []
    assert [file.name for file in path.parent.iterdir()] == ["notes.sqlite3"]


async def test_a_file_that_another_process_created_first_is_not_renamed_over(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = path.with_name("aside")
    async with open_notebook(path) as database:
        await database.write(note("first"))
    path.rename(aside)

    def refuse(*_: object, **__: object) -> None:
        aside.rename(path)
        raise PermissionError(errno.EPERM, "refused")

    monkeypatch.setattr(os, "link", refuse)
    assert await read_names(path) == ["first"]
    assert [file.name for file in path.parent.iterdir()] == ["notes.sqlite3"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
async def test_a_folder_that_can_not_be_synced_is_used(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "fsync", refusing(number))
    assert await read_names(path) == []


async def test_a_failed_sync_of_the_folder_names_the_call_the_path_and_the_remedy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", refusing(errno.EIO))
    message = rf"{path} can't be opened: Input/output error \(fsync {path.parent}\): check the disk"
    with pytest.raises(StoreUnavailableError, match=message):
        await read_names(path)


@pytest.mark.parametrize(
    ("call", "number", "remedy"),
    [
        ("link", errno.EIO, "check the disk"),
        ("link", errno.ENOSPC, "free some space"),
        ("open", errno.EMFILE, "raise the limit of open files"),
        ("open", errno.EROFS, "mount the file system for writing"),
        ("mkdir", errno.EACCES, "run as a user that may read and write there"),
    ],
)
async def test_a_refused_call_names_itself_the_path_and_the_remedy(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, remedy: str
) -> None:
    monkeypatch.setattr(os, call, refusing(number))
    reason = os.strerror(number)
    with pytest.raises(StoreUnavailableError, match=rf"can't be opened: {reason} \({call} {path.parent}.*\): {remedy}"):
        await read_names(path.parent / "new" / path.name if call == "mkdir" else path, creation="folder")
