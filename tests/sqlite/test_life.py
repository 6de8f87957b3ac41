"""Opening, leaving, cancelling, forking: whose the database is, and for how long."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mimi_async.errors import ConfigurationError, StoreUnavailableError
from mimi_async.sqlite import Database, files
from mimi_async.sqlite import database as database_module

from .notebook import NOTEBOOK, gathering, names, note


def threads_of(path: Path) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"mimi-sqlite-{path.name}"]


async def test_opens_again_after_the_last_has_left(database: Database, path: Path) -> None:
    await database.write(note("a"))
    for _ in range(3):
        await database.close()
        with pytest.raises(StoreUnavailableError, match="is not open"):
            await database.read(names)
        await database.open()
        assert await database.read(names) == ["a"]
    assert len(threads_of(path)) == 1


async def test_many_may_open_and_leave_at_once(path: Path) -> None:
    database = Database(path, NOTEBOOK)

    async def visit(number: int) -> None:
        await database.open()
        await database.write(note(f"{number:02}"))
        await database.close()

    await asyncio.gather(*(visit(number) for number in range(50)))
    await database.open()
    assert await database.read(names) == [f"{number:02}" for number in range(50)]
    await database.close()


async def test_closing_waits_for_writes_that_were_asked(path: Path) -> None:
    database = Database(path, NOTEBOOK)
    await database.open()
    async with gathering(database):
        writes = [asyncio.ensure_future(database.write(note(f"{number:04}"))) for number in range(1500)]
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(database.close())
    await closing
    assert await asyncio.gather(*writes) == [f"{number:04}" for number in range(1500)]
    assert not Path(f"{path}-wal").exists()


async def test_a_write_goes_on_when_its_caller_is_cancelled(database: Database) -> None:
    async with gathering(database):
        writes = [asyncio.ensure_future(database.write(note(name))) for name in "abc"]
        await asyncio.sleep(0)
        writes[1].cancel()
    assert await writes[0] == "a"
    assert writes[1].cancelled()
    assert await writes[2] == "c"
    assert await database.read(names) == ["a", "b", "c"]


async def test_closing_that_is_cancelled_closes_all_the_same(path: Path) -> None:
    database = Database(path, NOTEBOOK)
    await database.open()
    (thread,) = threads_of(path)
    async with gathering(database):
        closing = asyncio.ensure_future(database.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
    await asyncio.to_thread(thread.join, 30)
    assert not thread.is_alive()
    await database.open()
    assert await database.read(names) == []
    await database.close()


async def test_opening_that_is_cancelled_leaves_nothing_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opening, go_on = threading.Event(), threading.Event()

    class SlowFile(files.File):
        def __init__(self, *args: object) -> None:
            opening.set()
            go_on.wait(30)
            super().__init__(path, NOTEBOOK)

    monkeypatch.setattr(database_module, "File", SlowFile)
    database = Database(path, NOTEBOOK)
    first, second = (asyncio.ensure_future(database.open()) for _ in range(2))
    await asyncio.to_thread(opening.wait, 30)
    (thread,) = threads_of(path)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    go_on.set()
    await second
    await database.write(note("a"))
    await asyncio.to_thread(thread.join, 30)
    assert len(threads_of(path)) == 1
    await database.close()
    with pytest.raises(StoreUnavailableError):
        await database.read(names)


async def test_an_opening_that_fails_may_be_tried_again(path: Path) -> None:
    path.write_bytes(b"")
    path.chmod(0o600)
    database = Database(path, NOTEBOOK)
    for outcome in await asyncio.gather(*(database.open() for _ in range(5)), return_exceptions=True):
        assert "truncated" in str(outcome)
    path.unlink()
    await database.open()
    (thread,) = threads_of(path)
    await database.close()
    await asyncio.to_thread(thread.join, 30)
    assert not thread.is_alive()


async def test_is_refused_in_another_loop_while_it_is_open(database: Database) -> None:
    for call in (database.open, database.close, lambda: database.read(names), lambda: database.write(note("a"))):
        with pytest.raises(ConfigurationError, match="open in another event loop: use one for each loop"):
            await asyncio.to_thread(lambda call=call: asyncio.run(call()))  # type: ignore[misc]  # a default binds the call


def test_may_be_opened_again_when_its_loop_is_gone(path: Path) -> None:
    database, loop = Database(path, NOTEBOOK), asyncio.new_event_loop()
    loop.run_until_complete(database.open())
    loop.run_until_complete(database.open())
    (thread,) = threads_of(path)
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


def test_a_loop_that_ends_under_a_write_ends_nothing_else(path: Path) -> None:
    database, loop = Database(path, NOTEBOOK), asyncio.new_event_loop()
    loop.run_until_complete(database.open())
    (thread,), go_on = threads_of(path), threading.Event()

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


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of a process with threads: the child ends at once
async def test_a_child_that_was_forked_off_may_not_use_it(database: Database, path: Path) -> None:
    def in_a_child() -> int:
        child = os.fork()
        if not child:
            refusals = 0
            try:
                for call in (database.open, database.close, lambda: database.read(names)):
                    try:
                        asyncio.run(call())
                    except ConfigurationError as error:
                        refusals += "before the process forked" in str(error)
            finally:
                os._exit(refusals)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert await asyncio.to_thread(in_a_child) == 3
    assert await database.write(note("a")) == "a"


LEFT_OPEN = """
import asyncio, sys
from mimi_async.stores import SQLiteStore
from mimi_async.stores.base import StoredIdentity
from mimi_async.identity import CreateKey

async def main():
    store = await SQLiteStore(sys.argv[1]).__aenter__()
    await store.claim("a", StoredIdentity.pending(CreateKey.fresh()))
    if sys.argv[2] == "kept":
        globals()["kept"] = store

asyncio.run(main(), debug=True)
print("over")
"""


@pytest.mark.parametrize("fate", ["kept", "dropped"])
def test_the_interpreter_ends_when_it_is_left_open(path: Path, fate: str) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", LEFT_OPEN, str(path), fate]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "over\n", "")


async def test_leaves_no_warning_about_resources(path: Path, recwarn: pytest.WarningsRecorder) -> None:
    database = Database(path, NOTEBOOK)
    for _ in range(3):
        await database.open()
        await database.write(note(str(_)))
        await database.close()
    del database
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []
