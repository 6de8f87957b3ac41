"""One commit for everybody who waits, and nobody hurt by another."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mimi_async.errors import StoreCorruptError, StoreUnavailableError
from mimi_async.sqlite import Database, files, worker

from .notebook import NOTEBOOK, RefusedError, gathering, names, note, note_and_fail


def commits_of(path: Path) -> int:
    """Count the transactions in the log: each ends with a frame that tells the size of the file."""
    log = Path(f"{path}-wal").read_bytes()
    frames = range(32, len(log), 24 + 4096)
    return sum(log[frame + 4 : frame + 8] != bytes(4) for frame in frames)


async def test_commits_once_for_all_who_wait(database: Database, path: Path) -> None:
    before = commits_of(path)
    async with gathering(database):
        writes = [asyncio.ensure_future(database.write(note(f"{number:03}"))) for number in range(100)]
    assert await asyncio.gather(*writes) == [f"{number:03}" for number in range(100)]
    assert commits_of(path) == before + 1


async def test_a_read_sees_the_write_that_was_asked_before_it(database: Database) -> None:
    async with gathering(database):
        first = asyncio.ensure_future(database.read(names))
        write = asyncio.ensure_future(database.write(note("a")))
        second = asyncio.ensure_future(database.read(names))
    assert (await first, await write, await second) == ([], "a", ["a"])


async def test_one_failing_writer_hurts_no_other(database: Database, path: Path) -> None:
    before = commits_of(path)
    async with gathering(database):
        good = [asyncio.ensure_future(database.write(note(f"{number:02}"))) for number in range(50)]
        bad = asyncio.ensure_future(database.write(note_and_fail("bad")))
        more = [asyncio.ensure_future(database.write(note(f"{number:02}"))) for number in range(50, 99)]
        seen = asyncio.ensure_future(database.read(names))
    with pytest.raises(RefusedError, match="bad"):
        await bad
    written = await asyncio.gather(*good, *more)
    assert written == await seen == await database.read(names)
    assert commits_of(path) == before + 1


async def test_each_failing_writer_gets_its_own_error(database: Database) -> None:
    async with gathering(database):
        writes = [asyncio.ensure_future(database.write(note_and_fail(f"{number}"))) for number in range(20)]
        twice = [asyncio.ensure_future(database.write(note("a"))) for _ in range(2)]
    for number, write in enumerate(writes):
        with pytest.raises(RefusedError, match=f"^{number}$"):
            await write
    assert await twice[0] == "a"
    with pytest.raises(StoreUnavailableError, match="SQLITE_CONSTRAINT_PRIMARYKEY"):
        await twice[1]


async def test_a_failing_read_fails_alone(database: Database) -> None:
    async with gathering(database):
        write = asyncio.ensure_future(database.write(note("a")))
        read = asyncio.ensure_future(database.read(lambda connection: connection.execute("SELECT * FROM nothing")))
    assert await write == "a"
    with pytest.raises(StoreUnavailableError):
        await read


async def test_a_full_disk_fails_writers_and_no_reader(database: Database) -> None:
    await database.write(note("a"))
    await database.read(lambda connection: connection.execute("PRAGMA max_page_count=1").fetchone())
    big = [note(f"{number}") for number in range(200)]
    async with gathering(database):
        bad = asyncio.ensure_future(database.write(note_and_fail("bad")))
        writes = [asyncio.ensure_future(database.write(work)) for work in big]
        read = asyncio.ensure_future(database.read(names))
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    failed = [outcome for outcome in outcomes if isinstance(outcome, StoreUnavailableError)]
    assert failed
    assert all("SQLITE_FULL" in str(error) for error in failed)
    with pytest.raises(RefusedError, match="bad"):
        await bad
    assert "a" in await read
    kept = sorted(["a", *(outcome for outcome in outcomes if isinstance(outcome, str))])
    assert await database.read(names) == kept
    await database.read(lambda connection: connection.execute("PRAGMA max_page_count=10000").fetchone())
    assert await database.write(note("z")) == "z"


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


async def test_a_lock_of_another_process_fails_writers_and_no_reader(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BUSY_SECONDS", 0.05)
    database = Database(path, NOTEBOOK)
    await database.open()
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert await asyncio.to_thread(holder.stdout.readline) == "held\n"
        async with gathering(database):
            write = asyncio.ensure_future(database.write(note("a")))
            read = asyncio.ensure_future(database.read(names))
        with pytest.raises(StoreUnavailableError, match=r"notebook .*notes\.sqlite3 does not answer \(SQLITE_BUSY\)"):
            await write
        assert await read == []
        await asyncio.to_thread(holder.communicate, "\n")
    assert await database.write(note("a")) == "a"
    await database.close()


async def test_damage_found_on_the_way_is_corruption_of_the_whole(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for start in range(0, 300, 100):
        await asyncio.gather(*(database.write(note(f"{number}")) for number in range(start, start + 100)))
    await database.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + bytes(len(whole) - 4096))
    with pytest.raises(StoreCorruptError, match="is damaged; it was kept as it is: restore a backup"):
        await database.open()
    monkeypatch.setattr(files, "_CHECKED_WHOLE", 0)
    await database.open()
    with pytest.raises(StoreCorruptError, match="kept as it is: restore a backup") as caught:
        await database.read(names)
    assert caught.value.revision is None
    assert caught.value.__cause__ is caught.value.__context__ is None
    with pytest.raises(StoreCorruptError):
        await database.write(note("a"))


async def test_text_that_is_no_utf8_is_no_exception(database: Database) -> None:
    def spoilt(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO notes VALUES ('a', CAST(x'41ff' AS TEXT))")
        text: str = connection.execute("SELECT text FROM notes").fetchone()[0]
        return text

    assert await database.write(spoilt) == "A\udcff"


async def test_what_was_written_is_there_for_a_stranger(database: Database, path: Path) -> None:
    await database.write(note("a"))
    with closing(sqlite3.connect(path)) as connection:
        assert names(connection) == ["a"]


@pytest.mark.parametrize("writes", [False, True], ids=["a read", "a write"])
async def test_a_message_of_sqlite_that_is_no_utf8_is_corruption(database: Database, writes: bool) -> None:
    def ask(connection: sqlite3.Connection) -> None:
        (b"sec\xf3ret").decode()

    with pytest.raises(StoreCorruptError, match="UnicodeDecodeError") as caught:
        await (database.write(ask) if writes else database.read(ask))
    assert caught.value.__cause__ is caught.value.__context__ is None


async def test_a_transaction_that_fails_in_an_odd_way_leaves_nobody_waiting(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(*_: object) -> bool:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(worker, "_committed", odd)
        with pytest.raises(MemoryError):
            await database.write(note("a"))
    assert await database.write(note("a")) == "a"
