"""`mimi-async serve --workers`: many processes, one port, and one that looks after them."""

import asyncio
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import aiohttp
import asyncpg
import psutil
import pytest

from examples.partner_cluster.postgres import Postgres
from mimi_async.server.sqlite import count_users
from mimi_async.server.users import DEV_CLIENT

from ..conftest import rounds
from .client import Answer, PlainClient, a_key
from .on_postgres import an_environment
from .processes import Serving, run, serving
from .test_postgres import until_it_waits


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "users.sqlite3"


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    return postgres.make_database()


def without_forks(numbers: str) -> tuple[str, ...]:
    """The command line where the system refuses these forks."""
    return (sys.executable, "-m", "tests.server.forking", numbers)


def workers_of(server: Serving) -> list[psutil.Process]:
    return list(psutil.Process(server.process.pid).children())


async def until_there_are(number: int, server: Serving, dead: set[int]) -> None:
    """Return once so many workers live that are none of the dead."""
    while len([worker for worker in workers_of(server) if worker.pid not in dead]) < number:  # noqa: ASYNC110 - another process sets no event
        await asyncio.sleep(0.02)


async def gone(processes: list[psutil.Process]) -> None:
    await asyncio.to_thread(psutil.wait_procs, processes, timeout=30)
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


async def create(server: Serving, key: str | None = None) -> Answer:
    async with aiohttp.ClientSession() as session:
        return await PlainClient(server, session).create(key, DEV_CLIENT)


@asynccontextmanager
async def a_creation_under_way(server: Serving, dsn: str) -> AsyncIterator[asyncio.Task[Answer]]:
    """A creation that the database holds until the context is left."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool, pool.acquire() as other, other.transaction():
        await other.execute("LOCK TABLE mimi_server.users")
        creation = asyncio.create_task(create(server))
        await until_it_waits(other)
        yield creation


async def until_it_refuses(server: Serving) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                await PlainClient(server, session).ask("GET", "/healthz", headers={"Connection": "close"})
            except aiohttp.ClientConnectorError:
                return
            except aiohttp.ClientError:
                continue


async def test_all_serve_on_one_new_file_and_one_signal_ends_them(database: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        async with serving(database, "--workers", "4") as server:
            assert server.line == f"serving {server.url} (database {database}, 4 workers)\n"
            workers = workers_of(server)
            assert len(workers) == 4
            assert {(await create(server)).status for _ in range(20)} == {201}
            ended = await server.end(number)
            assert (ended.status, ended.out) == (0, "")
            assert ended.err.count("mimi-dev") == (number is signal.SIGTERM), "the first start added it, once"
            assert "Traceback" not in ended.err
            await gone(workers)
    names = {path.name for path in database.parent.iterdir()}
    assert {name for name in names if "keys" in name} == {"users.sqlite3.keys"}
    with closing(sqlite3.connect(database)) as connection:
        assert count_users(connection) == 40


async def test_requests_end_that_are_under_way(dsn: str) -> None:
    async with serving(dsn, "--workers", "2", environ=an_environment()) as server:
        async with a_creation_under_way(server, dsn) as creation:
            server.process.send_signal(signal.SIGTERM)
            await until_it_refuses(server)
        assert (await creation).status == 201
        assert await server.process.wait() == 0


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_second_signal_ends_all_at_once(dsn: str, workers: int) -> None:
    async with serving(dsn, "--workers", str(workers), environ=an_environment()) as server:
        crew = workers_of(server)
        async with a_creation_under_way(server, dsn) as creation:
            server.process.send_signal(signal.SIGTERM)
            await until_it_refuses(server)
            server.process.send_signal(signal.SIGTERM)
            assert await server.process.wait() == -signal.SIGTERM
            with pytest.raises(aiohttp.ClientError):
                await creation
            await gone(crew)


async def test_no_worker_outlives_a_parent_that_is_killed(database: Path) -> None:
    async with serving(database, "--workers", "3") as server:
        workers = workers_of(server)
        server.process.kill()
        await gone(workers)


async def test_kills_lose_no_user_double_none_and_the_port_never_refuses(postgres: Postgres, dsn: str) -> None:
    async with serving(dsn, "--workers", "2", environ=an_environment()) as server:
        told: dict[str, set[str]] = {}
        over = asyncio.Event()

        async def keep_creating() -> None:
            async with aiohttp.ClientSession() as session:
                client = PlainClient(server, session)
                while not over.is_set():
                    key = a_key()
                    told[key] = set()
                    while not told[key]:
                        with suppress(aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                            told[key].add((await client.create(key, DEV_CLIENT)).json["anonymous_id"])

        async def keep_knocking() -> None:
            host, _, port = server.url.removeprefix("http://").partition(":")
            while not over.is_set():
                _, writer = await asyncio.open_connection(host, int(port))
                await asyncio.sleep(0.005)
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()

        creating = [asyncio.create_task(each) for each in (*(keep_creating() for _ in range(8)), keep_knocking())]
        dead: set[int] = set()
        for _ in range(rounds(4, 30)):
            await until_there_are(2, server, dead)
            victim = workers_of(server)[0]
            dead.add(victim.pid)
            victim.kill()
            known = len(told)
            while len(told) < known + 20:  # noqa: ASYNC110 - all of them count
                await asyncio.sleep(0.02)
        over.set()
        await asyncio.gather(*creating)
        async with aiohttp.ClientSession() as session:
            client = PlainClient(server, session)
            for key, ids in told.items():
                ids.add((await client.create(key, DEV_CLIENT)).json["anonymous_id"])
        assert {len(ids) for ids in told.values()} == {1}
        count = postgres.tell("SELECT count(user_id) FROM mimi_server.users", dsn.rpartition("/")[2])
        assert int(count) == len(told)
        ended = await server.end(signal.SIGTERM)
        assert ended.status == 0
        assert "ended by signal 9; another worker takes its place" in ended.err


async def test_one_that_is_told_to_stop_is_replaced(database: Path) -> None:
    async with serving(database, "--workers", "2") as server:
        first = workers_of(server)[0]
        first.terminate()
        await until_there_are(2, server, {first.pid})
        ended = await server.end(signal.SIGTERM)
        assert "ended with status 0; another worker takes its place" in ended.err


async def test_one_that_cant_come_up_is_tried_again_until_it_can(database: Path) -> None:
    async with serving(database, "--workers", "2") as server:
        key_file = database.with_name("users.sqlite3.keys")
        away = key_file.rename(database.with_name("away"))
        first = workers_of(server)[0]
        first.kill()
        err = b""
        while err.count(b"is missing: restore it") < 3:
            err += await server.process.stderr.readline()  # type: ignore[union-attr]  # it is a pipe
        assert (await create(server)).status == 201
        away.rename(key_file)
        while b"hold on" not in err:
            alive = workers_of(server)
            await asyncio.sleep(0.2)
            err = b"hold on" if len(alive) == 2 and alive == workers_of(server) else b""
        assert (await server.end(signal.SIGTERM)).status == 0


async def test_where_the_system_refuses_a_fork_the_others_serve_on_and_it_is_tried_again(database: Path) -> None:
    async with serving(database, "--workers", "2", command=without_forks("5,6")) as server:
        first = workers_of(server)[0]
        open_files = psutil.Process(server.process.pid).num_fds()
        first.kill()
        err = b""
        while err.count(b"no worker could be made: Resource temporarily unavailable; another worker takes") < 2:
            err += await server.process.stderr.readline()  # type: ignore[union-attr]  # it is a pipe
        assert (await create(server)).status == 201
        await until_there_are(2, server, {first.pid})
        pipe_of_the_new_one = 1  # until it says that it serves
        assert psutil.Process(server.process.pid).num_fds() <= open_files + pipe_of_the_new_one
        ended = await server.end(signal.SIGTERM)
        assert (ended.status, "Traceback" in err.decode() + ended.err) == (0, False)


async def test_where_the_system_refuses_a_fork_at_the_start_one_worker_makes_it_good(database: Path) -> None:
    async with serving(database, "--workers", "2", command=without_forks("3")) as server:
        assert len(workers_of(server)) == 2
        assert (await server.end(signal.SIGTERM)).status == 0


async def test_where_the_system_refuses_the_first_fork_that_is_told(database: Path) -> None:
    arguments = ("serve", "--port", "0", "--workers", "2", "--database", f"sqlite:///{database}")
    ended = await run(*arguments, command=without_forks("1"))
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == "Error: no worker could be made: Resource temporarily unavailable\n"


async def test_where_none_comes_up_the_reason_is_told_once(database: Path) -> None:
    environ = an_environment()
    async with serving(database, "--workers", "2", environ=environ):
        pass
    url = f"sqlite:///{database}"
    for other in (an_environment(), {}):
        alone = await run("serve", "--port", "0", "--database", url, environ=other)
        ended = await run("serve", "--port", "0", "--workers", "4", "--database", url, environ=other)
        assert (ended.status, ended.out, ended.err) == (alone.status, "", alone.err)
        assert ended.err.count("Error: ") == 1


async def test_a_port_that_is_taken_is_told_before_any_worker_is_made(database: Path) -> None:
    async with serving(database) as server:
        port = server.url.rpartition(":")[2]
        ended = await run("serve", "--workers", "2", "--port", port, "--database", f"sqlite:///{database}")
        assert (ended.status, ended.out) == (1, "")
        reason = "Address already in use; choose another, or 0 for any free one"
        assert ended.err == f"Error: can't listen on 127.0.0.1 port {port}: {reason}\n"
