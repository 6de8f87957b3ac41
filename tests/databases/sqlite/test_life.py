"""Opening, closing, cancelling: which event loop a database belongs to, and how long it is open."""

import asyncio
import gc
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mimi_async.databases.sqlite import Database
from mimi_async.databases.sqlite import database as database_module
from mimi_async.databases.sqlite.file import File
from mimi_async.errors import NotStartedError

from .notebook import NOTEBOOK, gathering, names, note, read_names


def list_threads(path: Path) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"mimi-sqlite-{path.name}"]


async def test_opens_again_after_the_last_close(database: Database, path: Path) -> None:
    await database.write(note("a"))
    for _ in range(3):
        await database.close()
        with pytest.raises(NotStartedError, match="is not open"):
            await database.read(names)
        await database.open()
        assert await database.read(names) == ["a"]
    assert len(list_threads(path)) == 1


async def test_many_may_open_and_close_at_once(path: Path) -> None:
    database = Database(path, NOTEBOOK)

    async def open_and_write(number: int) -> None:
        await database.open()
        await database.write(note(f"{number:02}"))
        await database.close()

    await asyncio.gather(*(open_and_write(number) for number in range(50)))
    assert await read_names(path) == [f"{number:02}" for number in range(50)]


async def test_closing_waits_for_submitted_writes(path: Path) -> None:
    database = Database(path, NOTEBOOK)
    await database.open()
    async with gathering(database):
        writes = [asyncio.ensure_future(database.write(note(f"{number:04}"))) for number in range(1500)]
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(database.close())
    await closing
    assert await asyncio.gather(*writes) == [f"{number:04}" for number in range(1500)]
    assert not Path(f"{path}-wal").exists()


async def test_closing_waits_for_a_write_of_the_same_pass_of_the_event_loop(path: Path) -> None:
    database = Database(path, NOTEBOOK)
    await database.open()
    assert (await asyncio.gather(database.write(note("a")), database.close()))[0] == "a"


async def test_a_write_goes_on_when_its_caller_is_cancelled(database: Database) -> None:
    async with gathering(database):
        writes = [asyncio.ensure_future(database.write(note(name))) for name in "abc"]
        await asyncio.sleep(0)
        writes[1].cancel()
    assert await writes[0] == "a"
    assert writes[1].cancelled()
    assert await writes[2] == "c"
    assert await database.read(names) == ["a", "b", "c"]


async def test_closing_that_is_cancelled_closes_nevertheless(path: Path) -> None:
    database = Database(path, NOTEBOOK)
    await database.open()
    (thread,) = list_threads(path)
    async with gathering(database):
        closing = asyncio.ensure_future(database.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
    await asyncio.to_thread(thread.join, 30)
    assert not thread.is_alive()
    assert await read_names(path) == []


async def test_opening_that_is_cancelled_leaves_nothing_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opening, go_on = threading.Event(), threading.Event()

    class SlowFile(File):
        def __init__(self, *args: Any, **options: Any) -> None:
            opening.set()
            go_on.wait(30)
            super().__init__(*args, **options)

    monkeypatch.setattr(database_module, "File", SlowFile)
    database = Database(path, NOTEBOOK)
    first, second = (asyncio.ensure_future(database.open()) for _ in range(2))
    await asyncio.to_thread(opening.wait, 30)
    (thread,) = list_threads(path)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    go_on.set()
    await second
    await database.write(note("a"))
    await asyncio.to_thread(thread.join, 30)
    assert len(list_threads(path)) == 1
    await database.close()
    with pytest.raises(NotStartedError):
        await database.read(names)


async def test_an_opening_that_fails_may_be_tried_again(path: Path) -> None:
    path.write_bytes(b"")
    path.chmod(0o600)
    database = Database(path, NOTEBOOK)
    for outcome in await asyncio.gather(*(database.open() for _ in range(5)), return_exceptions=True):
        assert "truncated" in str(outcome)
    path.unlink()
    await database.open()
    (thread,) = list_threads(path)
    await database.close()
    await asyncio.to_thread(thread.join, 30)
    assert not thread.is_alive()


def test_may_be_opened_again_after_its_loop_was_closed(path: Path) -> None:
    database, loop = Database(path, NOTEBOOK), asyncio.new_event_loop()
    loop.run_until_complete(database.open())
    loop.run_until_complete(database.open())
    (thread,) = list_threads(path)
    loop.close()

    async def again() -> list[str]:
        await database.open()
        await database.write(note("a"))
        found = await database.read(names)
        await database.close()
        return found

    assert asyncio.run(again()) == ["a"]
    thread.join(30)
    assert not thread.is_alive()


def test_a_loop_that_ends_during_a_write_keeps_the_write(path: Path) -> None:
    database, loop = Database(path, NOTEBOOK), asyncio.new_event_loop()
    loop.run_until_complete(database.open())
    (thread,), go_on = list_threads(path), threading.Event()

    async def ask() -> None:
        write = asyncio.ensure_future(database.write(lambda connection: (go_on.wait(30), note("a")(connection))))
        await asyncio.sleep(0)
        write.cancel()

    loop.run_until_complete(ask())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    go_on.set()

    async def again() -> list[str]:
        await database.open()
        await asyncio.to_thread(thread.join, 30)
        found = await database.read(names)
        await database.close()
        return found

    assert asyncio.run(again()) == ["a"]


LEFT_OPEN = """
import asyncio, sys
from mimi_async.stores import SQLiteStore
from mimi_async.stores.base import StoredIdentity
from mimi_async.secret import CreateKey

async def main():
    store = await SQLiteStore(sys.argv[1]).__aenter__()
    await store.claim("a", StoredIdentity.pending(CreateKey.generate()))
    if sys.argv[2] == "kept":
        globals()["kept"] = store

asyncio.run(main(), debug=True)
print("over")
"""


@pytest.mark.parametrize("fate", ["kept", "dropped"])
def test_the_interpreter_ends_when_it_is_left_open(path: Path, fate: str) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", LEFT_OPEN, str(path), fate]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    created = f"the identity store {path} was missing: it was created, new and empty\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "over\n", created)


async def test_leaves_no_warning_about_resources(path: Path, recwarn: pytest.WarningsRecorder) -> None:
    database = Database(path, NOTEBOOK)
    for _ in range(3):
        await database.open()
        await database.write(note(str(_)))
        await database.close()
    del database
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []
