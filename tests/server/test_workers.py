"""`mimi-async serve --workers`: several processes, one port, and a parent that supervises them."""

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

from mimi_async.server.users.repository import DEV_CLIENT
from mimi_async.server.users.sqlite import count_users

from ..conftest import rounds
from ..postgres_server import Postgres
from .client import Answer, PlainClient, a_key
from .on_postgres import an_environment
from .processes import Serving, run, run_command, serving
from .test_postgres import wait_until_it_waits


def without_forks(numbers: str) -> tuple[str, ...]:
    """The command line where the system refuses these forks."""
    return (sys.executable, "-m", "tests.server.forking", numbers)


def workers_of(server: Serving) -> list[psutil.Process]:
    return list(psutil.Process(server.process.pid).children())


async def wait_until_there_are(number: int, server: Serving, killed: set[int]) -> None:
    """Return once so many workers run, without the killed ones."""
    while len([worker for worker in workers_of(server) if worker.pid not in killed]) < number:  # noqa: ASYNC110 - another process sets no event
        await asyncio.sleep(0.02)


async def wait_gone(processes: list[psutil.Process]) -> None:
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
        await wait_until_it_waits(other)
        yield creation


async def wait_until_it_refuses(server: Serving) -> None:
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
            await wait_gone(workers)
    names = {path.name for path in database.parent.iterdir()}
    assert {name for name in names if "keys" in name} == {"users.sqlite3.keys"}
    with closing(sqlite3.connect(database)) as connection:
        assert count_users(connection) == 40


async def test_a_signal_waits_for_running_requests(dsn: str) -> None:
    async with serving(dsn, "--workers", "2", environ=an_environment()) as server:
        async with a_creation_under_way(server, dsn) as creation:
            server.process.send_signal(signal.SIGTERM)
            await wait_until_it_refuses(server)
        assert (await creation).status == 201
        assert await server.process.wait() == 0


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_second_signal_ends_all_at_once(dsn: str, workers: int) -> None:
    async with serving(dsn, "--workers", str(workers), environ=an_environment()) as server:
        workers_before = workers_of(server)
        async with a_creation_under_way(server, dsn) as creation:
            server.process.send_signal(signal.SIGTERM)
            await wait_until_it_refuses(server)
            server.process.send_signal(signal.SIGTERM)
            assert await server.process.wait() == -signal.SIGTERM
            with pytest.raises(aiohttp.ClientError):
                await creation
            await wait_gone(workers_before)


async def test_no_worker_outlives_a_parent_that_is_killed(database: Path) -> None:
    async with serving(database, "--workers", "3") as server:
        workers = workers_of(server)
        server.process.kill()
        await wait_gone(workers)


async def test_kills_lose_no_user_double_none_and_the_port_never_refuses(postgres: Postgres, dsn: str) -> None:
    async with serving(dsn, "--workers", "2", environ=an_environment()) as server:
        seen: dict[str, set[str]] = {}
        over = asyncio.Event()

        async def keep_creating() -> None:
            async with aiohttp.ClientSession() as session:
                client = PlainClient(server, session)
                while not over.is_set():
                    key = a_key()
                    seen[key] = set()
                    while not seen[key]:
                        with suppress(aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                            seen[key].add((await client.create(key, DEV_CLIENT)).json["anonymous_id"])

        async def keep_connecting() -> None:
            host, _, port = server.url.removeprefix("http://").partition(":")
            while not over.is_set():
                _, writer = await asyncio.open_connection(host, int(port))
                await asyncio.sleep(0.005)
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()

        creating = [asyncio.create_task(each) for each in (*(keep_creating() for _ in range(8)), keep_connecting())]
        killed: set[int] = set()
        for _ in range(rounds(2, 30)):
            await wait_until_there_are(2, server, killed)
            victim = workers_of(server)[0]
            killed.add(victim.pid)
            victim.kill()
            known = len(seen)
            while len(seen) < known + 20:  # noqa: ASYNC110 - all of them count
                await asyncio.sleep(0.02)
        over.set()
        await asyncio.gather(*creating)
        async with aiohttp.ClientSession() as session:
            client = PlainClient(server, session)
            for key, ids in seen.items():
                ids.add((await client.create(key, DEV_CLIENT)).json["anonymous_id"])
        assert {len(ids) for ids in seen.values()} == {1}
        count = postgres.execute("SELECT count(user_id) FROM mimi_server.users", dsn.rpartition("/")[2])
        assert int(count) == len(seen)
        ended = await server.end(signal.SIGTERM)
        assert ended.status == 0
        assert "ended by signal 9; another worker replaces it" in ended.err


async def test_a_terminated_worker_is_replaced(database: Path) -> None:
    async with serving(database, "--workers", "2") as server:
        first = workers_of(server)[0]
        first.terminate()
        await wait_until_there_are(2, server, {first.pid})
        ended = await server.end(signal.SIGTERM)
        assert "ended with status 0; another worker replaces it" in ended.err


async def test_a_worker_that_cannot_start_is_retried(database: Path) -> None:
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


async def test_a_refused_fork_is_retried_while_the_others_serve(database: Path) -> None:
    async with serving(database, "--workers", "2", command=without_forks("5,6")) as server:
        first = workers_of(server)[0]
        open_files = psutil.Process(server.process.pid).num_fds()
        first.kill()
        err = b""
        while err.count(b"no worker could be started: fork: Resource temporarily unavailable; raise the limits") < 2:
            err += await server.process.stderr.readline()  # type: ignore[union-attr]  # it is a pipe
        assert (await create(server)).status == 201
        await wait_until_there_are(2, server, {first.pid})
        pipe_of_the_new_one = 1  # until it says that it serves
        assert psutil.Process(server.process.pid).num_fds() <= open_files + pipe_of_the_new_one
        ended = await server.end(signal.SIGTERM)
        assert (ended.status, "Traceback" in err.decode() + ended.err) == (0, False)


async def test_a_refused_fork_at_the_start_is_retried(database: Path) -> None:
    async with serving(database, "--workers", "2", command=without_forks("3")) as server:
        assert len(workers_of(server)) == 2
        assert (await server.end(signal.SIGTERM)).status == 0


async def test_a_refused_first_fork_is_an_error(database: Path) -> None:
    arguments = ("serve", "--port", "0", "--workers", "2", "--database", f"sqlite:///{database}")
    ended = await run_command(*without_forks("1"), *arguments)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("Error: no worker could be started: fork: Resource temporarily unavailable; raise the ")


async def test_the_reason_is_printed_once_if_no_worker_starts(database: Path) -> None:
    environ = an_environment()
    async with serving(database, "--workers", "2", environ=environ):
        pass
    url = f"sqlite:///{database}"
    for other in (an_environment(), {}):
        alone = await run("serve", "--port", "0", "--database", url, environ=other)
        ended = await run("serve", "--port", "0", "--workers", "4", "--database", url, environ=other)
        assert (ended.status, ended.out, ended.err) == (alone.status, "", alone.err)
        assert ended.err.count("Error: ") == 1
