"""When a file is created, when it is not, and what is logged about it."""

import logging
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from mimi_async.databases.sqlite import Database
from mimi_async.errors import ConfigurationError, StoreUnavailableError

from ...nearly_right import AROUND
from .notebook import NOTEBOOK, names, note, open_notebook, read_names

ROOT = Path(__file__).parents[3]
KEYED = attrs.evolve(NOTEBOOK, companions=(".keys",))


@pytest.mark.parametrize("end", ["&mode=rw", ";x", "\\n"])
def test_an_option_or_an_escape_in_the_name_of_a_file_is_refused(end: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the path of the notebook holds '&option=', ';' or"):
        Database(f"{tmp_path}/notes.sqlite3{end}", NOTEBOOK)


@pytest.mark.parametrize("flaw", AROUND)
def test_a_nearly_right_path_is_refused_with_its_flaw(flaw: str, tmp_path: Path) -> None:
    form, message = AROUND[flaw]
    for path in (form.format(f"{tmp_path}/notes"), f"{tmp_path}/{form.format('notes')}", Path(form.format("notes"))):
        with pytest.raises(ConfigurationError, match=f"the path of the notebook ({message})"):
            Database(path, NOTEBOOK)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "is empty: write it out"),
        ("  ", "is empty: write it out"),
        ("~/notes", "begins with '~', which only a shell replaces: write an absolute path"),
        ("$HOME/notes", "a variable that was not replaced"),
        ("/var/${TENANT}/notes", "a variable that was not replaced"),
        ("notes?timeout=30", "holds an option"),
        ("sqlite:///notes", "is a URL: give it to open_store"),
        ("postgresql://me:hush@db/notes", "is a URL: give it to open_store"),
        ("file:notes?mode=rw", "holds an option"),
        (":memory:", "of SQLite that is not supported"),
        ("/var/with\na/line/end", "holds the control character U\\+000A"),
    ],
)
def test_a_path_that_only_a_shell_or_a_url_reader_understands_is_refused(path: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        Database(path, NOTEBOOK)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("name", ["of the day.sqlite3", "100%.sqlite3", "größe #1 (£$5).sqlite3", "日本語", "-"])
async def test_an_unusual_name_is_a_name(name: str, tmp_path: Path) -> None:
    await read_names(tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a no-break\u00a0space", "a joiner\u200d", "'quoted'", "$RECYCLE ", "~"])
async def test_an_existing_folder_may_have_any_name_and_a_new_one_may_not(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing folder of the notebook|a variable that was not replaced"):
        await read_names(tmp_path / name / "notes", "folder")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / name).mkdir(0o700)
    if "$" not in name:
        await read_names(tmp_path / name / "notes")
        assert (tmp_path / name / "notes").exists()


@pytest.mark.parametrize("levels", [1, 2])
async def test_a_missing_folder_is_refused_with_the_remedy(levels: int, tmp_path: Path) -> None:
    path = Path(tmp_path, *("one", "two")[:levels], "notes")
    with pytest.raises(ConfigurationError) as caught:
        await read_names(path)
    assert str(caught.value) == (
        f"the folder {path.parent} of the notebook is missing: create it, mount its disk, or let it be created by"
        " create_folder=True, or ?create=folder in a URL"
    )
    assert list(tmp_path.iterdir()) == []


async def test_a_relative_path_is_named_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=f"the folder {tmp_path}/data of the notebook is missing"):
        await read_names("data/notes")


async def test_a_file_that_must_exist_is_not_created(path: Path) -> None:
    for missing in (path, path.parent / "unmounted" / "notes"):
        with pytest.raises(StoreUnavailableError, match=f"{missing} is missing, and must exist: mount") as caught:
            await read_names(missing, "nothing")
        assert caught.value.retryable
    assert list(path.parent.iterdir()) == []
    await read_names(path)
    await read_names(path, "nothing")


async def test_a_new_file_is_logged_once_with_its_absolute_path(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(path.parent)
    for _ in range(2):
        await read_names(path.name)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"the notebook {path} was missing: it was created, new and empty"


@pytest.mark.parametrize("suffix", ["-wal", ".keys"])
async def test_a_file_whose_companion_is_left_is_not_created(suffix: str, path: Path) -> None:
    companion = path.with_name(f"{path.name}{suffix}")
    companion.write_bytes(b"left")
    with pytest.raises(ConfigurationError, match=f"is missing, and {companion} is there: both were kept beside"):
        await read_names(path, schema=KEYED)
    assert list(path.parent.iterdir()) == [companion]
    companion.unlink()
    await read_names(path, schema=KEYED)


async def test_a_log_without_its_file_is_never_read_into_a_new_one(path: Path) -> None:
    """The log of a process that was killed holds changes; SQLite would replay them in another file of that name."""
    code = (
        "import asyncio, os, sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path;"
        "from tests.databases.sqlite.notebook import NOTEBOOK, note; from mimi_async.databases.sqlite import Database;"
        "database = Database(Path(sys.argv[1]), NOTEBOOK); loop = asyncio.new_event_loop();"
        "loop.run_until_complete(database.open()); loop.run_until_complete(database.write(note('a'))); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path), str(ROOT)], check=True, capture_output=True)
    aside = path.rename(path.with_name("aside"))
    with pytest.raises(ConfigurationError, match="restore the file, or move"):
        await read_names(path)
    aside.rename(path)
    async with open_notebook(path) as database:
        assert await database.read(names) == ["a"]
        await database.write(note("b"))


def test_no_file_is_created_inside_a_frozen_program(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_MEIPASS", str(path.parent), raising=False)
    with pytest.raises(ConfigurationError, match=r"is inside the frozen program, .*: name a file outside it"):
        Database(path, NOTEBOOK)
