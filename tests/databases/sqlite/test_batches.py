"""One crossing and one commit for all callers of a pass of the event loop; a failing job affects no other job."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from queue import Queue
from typing import Any
from unittest import mock

import pytest

from mimi_async.databases import jobs
from mimi_async.databases.jobs import Job
from mimi_async.databases.sqlite import Database, worker
from mimi_async.errors import StoreCorruptError, StoreUnavailableError

from .notebook import RefusedError, gathering, names, note, note_and_fail, open_notebook, read_names


def count_commits(path: Path) -> int:
    """Count the transactions in the log: each ends with a frame that holds the size of the file."""
    log = Path(f"{path}-wal").read_bytes()
    frames = range(32, len(log), 24 + 4096)
    return sum(log[frame + 4 : frame + 8] != bytes(4) for frame in frames)


async def test_commits_once_for_all_waiting_callers(database: Database, path: Path) -> None:
    before = count_commits(path)
    async with gathering(database):
        writes = [asyncio.ensure_future(database.write(note(f"{number:03}"))) for number in range(100)]
    assert await asyncio.gather(*writes) == [f"{number:03}" for number in range(100)]
    assert count_commits(path) == before + 1


async def test_the_reads_and_writes_of_one_pass_of_the_event_loop_cross_to_the_thread_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crossings: list[object] = []

    class CountingQueue(Queue[object]):
        def put(self, item: object, *args: Any) -> None:
            crossings.append(item)
            super().put(item, *args)

    monkeypatch.setattr(jobs, "SimpleQueue", CountingQueue)
    async with open_notebook(path) as database:
        writes = [database.write(note(f"{number:02}")) for number in range(50)]
        await asyncio.gather(*writes, *(database.read(names) for _ in range(50)))
        assert len(crossings) == 1


async def test_a_job_that_takes_too_long_ends_for_its_callers_and_goes_on_in_the_thread(path: Path) -> None:
    go_on = threading.Event()

    def wait(connection: sqlite3.Connection) -> str:
        go_on.wait(30)
        return note("slow")(connection)

    async with open_notebook(path, timeout=0.01) as database:
        outcomes = await asyncio.gather(*(database.write(wait) for _ in range(2)), return_exceptions=True)
        go_on.set()
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailableError] * 2
    assert all(str(outcome).endswith("notes.sqlite3 did not answer within 0.01 s") for outcome in outcomes)
    assert await read_names(path) == ["slow"]


async def test_a_read_sees_the_write_that_was_asked_before_it(database: Database) -> None:
    async with gathering(database):
        first = asyncio.ensure_future(database.read(names))
        write = asyncio.ensure_future(database.write(note("a")))
        second = asyncio.ensure_future(database.read(names))
    assert (await first, await write, await second) == ([], "a", ["a"])


async def test_one_failing_writer_affects_no_other(database: Database, path: Path) -> None:
    before = count_commits(path)
    async with gathering(database):
        good = [asyncio.ensure_future(database.write(note(f"{number:02}"))) for number in range(50)]
        bad = asyncio.ensure_future(database.write(note_and_fail("bad")))
        more = [asyncio.ensure_future(database.write(note(f"{number:02}"))) for number in range(50, 99)]
        seen = asyncio.ensure_future(database.read(names))
    with pytest.raises(RefusedError, match="bad"):
        await bad
    written = await asyncio.gather(*good, *more)
    assert written == await seen == await database.read(names)
    assert count_commits(path) == before + 1


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


async def test_a_lock_of_another_connection_fails_writers_and_no_reader(path: Path) -> None:
    async with open_notebook(path, busy_timeout=0.05) as database:
        with closing(sqlite3.connect(path, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            async with gathering(database):
                write = asyncio.ensure_future(database.write(note("a")))
                read = asyncio.ensure_future(database.read(names))
            with pytest.raises(StoreUnavailableError, match=r"notes\.sqlite3 does not answer \(SQLITE_BUSY\)"):
                await write
            assert await read == []
            holder.execute("COMMIT")
        assert await database.write(note("a")) == "a"


async def test_damage_found_by_a_job_is_corruption_of_the_file(database: Database, path: Path) -> None:
    for start in range(0, 300, 100):
        await asyncio.gather(*(database.write(note(f"{number}")) for number in range(start, start + 100)))
    await database.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + bytes(len(whole) - 4096))
    with pytest.raises(StoreCorruptError, match="is damaged; it was kept as it is: restore a backup"):
        await database.open()
    async with open_notebook(path, checked_bytes=0) as unchecked:
        with pytest.raises(StoreCorruptError, match="kept as it is: restore a backup") as caught:
            await unchecked.read(names)
        assert caught.value.revision is None
        assert caught.value.__cause__ is caught.value.__context__ is None
        with pytest.raises(StoreCorruptError):
            await unchecked.write(note("a"))
    path.unlink()
    await database.open()


async def test_text_that_is_not_utf8_raises_nothing(database: Database) -> None:
    def write_invalid_text(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO notes VALUES ('a', CAST(x'41ff' AS TEXT))")
        text: str = connection.execute("SELECT text FROM notes").fetchone()[0]
        return text

    assert await database.write(write_invalid_text) == "A\udcff"


async def test_another_connection_reads_what_was_written(database: Database, path: Path) -> None:
    await database.write(note("a"))
    with closing(sqlite3.connect(path)) as connection:
        assert names(connection) == ["a"]


@pytest.mark.parametrize("writes", [False, True], ids=["a read", "a write"])
async def test_a_message_of_sqlite_that_is_not_utf8_is_corruption(database: Database, writes: bool) -> None:
    def ask(connection: sqlite3.Connection) -> None:
        (b"sec\xf3ret").decode()

    with pytest.raises(StoreCorruptError, match="UnicodeDecodeError") as caught:
        await (database.write(ask) if writes else database.read(ask))
    assert caught.value.__cause__ is caught.value.__context__ is None


async def test_a_transaction_that_fails_with_another_error_leaves_no_caller_waiting() -> None:
    connection = mock.Mock(in_transaction=False, execute=mock.Mock(side_effect=MemoryError))
    job = Job[sqlite3.Connection, str](note("a"), asyncio.get_running_loop(), writes=True)
    worker.run_jobs(connection, [job])
    assert isinstance(job.error, MemoryError)
