"""Many processes on one PostgreSQL, and a PostgreSQL that fails."""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from mimi_async.errors import ConfigurationError
from mimi_async.identity import ClientCredentials
from mimi_async.server import Server, Settings
from mimi_async.server.users.postgres import PostgresUserRepository
from mimi_async.server.users.repository import DEV_CLIENT

from ..conftest import rounds
from ..fork_server import ForkServer
from ..postgres_server import Postgres
from .client import PlainClient, a_key
from .on_postgres import PostgresIdentityServer, an_environment
from .processes import run, serving
from .repositories import ACME, open_repositories


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@asynccontextmanager
async def failing(own_postgres: Postgres, seconds: float = 10.0) -> AsyncIterator[PlainClient]:
    """Run a server on a PostgreSQL that fails later."""
    settings = Settings(port=0, creation_limit=None, database_seconds=seconds)
    kit = PostgresIdentityServer(own_postgres, own_postgres.make_database(), settings)
    async with kit as server, aiohttp.ClientSession() as session:
        yield PlainClient(server, session)


async def test_8_processes_with_the_same_keys_create_one_user_of_each(
    postgres: Postgres, dsn: str, tmp_path: Path
) -> None:
    async with open_repositories(PostgresUserRepository(dsn)) as repository:
        assert await repository.add_client("acme", ACME.client_id, ACME.secret_digest)
    keys = [a_key() for _ in range(rounds(100, 1000))]
    jobs = [
        {"dsn": dsn, "keys": random.sample(keys, len(keys)), "out": f"{tmp_path}/{number}.json"} for number in range(8)
    ]
    with ForkServer("tests.server.creating", sys.stderr.buffer) as fork_server:
        assert await fork_server.run(*jobs) == [0] * 8
    answers = [answer for job in jobs for answer in json.loads(Path(str(job["out"])).read_text())]
    assert Counter(key for key, _, _ in answers) == dict.fromkeys(keys, 8)
    assert len({(key, user_id) for key, user_id, _ in answers}) == len(keys)
    assert [is_new for _, _, is_new in answers].count(True) == len(keys)
    count = postgres.execute("SELECT count(user_id) FROM mimi_server.users", dsn.rpartition("/")[2])
    assert int(count) == len(keys)


async def test_many_servers_that_start_at_once_create_the_tables_and_mimi_dev_once(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    dsn, environ = postgres.make_database(), an_environment()
    servers = [Server(dsn, Settings(port=0), environ=environ) for _ in range(8)]
    await asyncio.gather(*(server.start() for server in servers))
    assert list(await servers[0].context.repository.clients()) == [DEV_CLIENT.client_id]
    assert caplog.text.count("the database had no client: 'mimi-dev' was added") == 1
    await asyncio.gather(*(server.stop() for server in servers))


async def test_a_frozen_one_is_a_503_by_the_deadline_and_afterwards_all_goes_on(own_postgres: Postgres) -> None:
    async with failing(own_postgres, seconds=1.0) as client:
        made = (await client.create()).json
        with own_postgres.frozen():
            begun = time.monotonic()
            answers = await asyncio.gather(
                *(client.create() for _ in range(30)),
                *(client.log_in(made["anonymous_id"]) for _ in range(30)),
                client.ask("DELETE", "/v1/user", token=made["access_token"]),
                client.ask("GET", "/readyz"),
            )
            assert time.monotonic() - begun < 20
            assert {(answer.status, answer.headers["Retry-After"]) for answer in answers} == {(503, "1")}
            assert (await client.ask("GET", "/healthz")).status == 200
        while (await client.ask("GET", "/readyz")).status == 503:
            pass
        assert {(await client.create()).status for _ in range(20)} == {201}


async def test_a_restart_under_load_is_a_503_or_success_and_never_a_second_user(own_postgres: Postgres) -> None:
    async with failing(own_postgres) as client:
        seen: dict[str, set[str]] = {}
        statuses: Counter[int] = Counter()
        restarted = asyncio.Event()

        async def create_and_replay() -> None:
            while not restarted.is_set():
                key = a_key()
                answers = [await client.create(key) for _ in range(2)]
                statuses.update(answer.status for answer in answers)
                seen[key] = {answer.json["anonymous_id"] for answer in answers if answer.status in (200, 201)}

        load = [asyncio.create_task(create_and_replay()) for _ in range(16)]
        for _ in range(rounds(2, 10)):
            await asyncio.to_thread(own_postgres.restart)
            while (await client.ask("GET", "/readyz")).status == 503:
                pass
        restarted.set()
        await asyncio.gather(*load)
        assert set(statuses) <= {200, 201, 503}
        assert max(map(len, seen.values())) == 1
        for key, ids in seen.items():
            ids.add((await client.create(key)).json["anonymous_id"])
        assert {len(ids) for ids in seen.values()} == {1}
        assert client.server.users == len(seen)


async def test_other_keys_or_none_are_refused_and_the_address_is_not_shown(postgres: Postgres) -> None:
    dsn, environ = postgres.make_database().replace("postgres@", "postgres:hunter2@"), an_environment()
    with pytest.raises(ConfigurationError, match=r"MIMI_ID_KEY, MIMI_PEPPER, MIMI_TOKEN_KEY.*openssl rand -hex 32"):
        await Server(dsn, Settings(port=0), environ={}).start()
    async with Server(dsn, Settings(port=0), environ=environ):
        pass
    refusal = r"^postgresql://127\.0\.0\.1:\d+/\w+ was created with another id key and another pepper, and with"
    with pytest.raises(ConfigurationError, match=refusal) as caught:
        await Server(dsn, Settings(port=0), environ=an_environment()).start()
    assert "hunter2" not in str(caught.value)


async def test_a_client_is_added_and_the_line_shows_no_password(postgres: Postgres) -> None:
    dsn, environ = postgres.make_database().replace("postgres@", "postgres:hunter2@"), an_environment()
    shown = dsn.replace("postgres:hunter2@", "")
    added = await run("clients", "add", "acme", "player", environ=environ | {"MIMI_DATABASE_URL": dsn})
    assert f"Added to {shown}, which does not accept mimi-dev." in added.err
    secret = added.out.partition("SECRET=")[2].strip()
    async with serving(dsn, "--workers", "2", environ=environ) as server, aiohttp.ClientSession() as session:
        assert server.line == f"serving {server.url} (database {shown}, 2 workers)\n"
        answer = await PlainClient(server, session).create(credentials=ClientCredentials("player", secret))
        assert answer.status == 201
