"""`mimi-async serve` and `mimi-async clients add`, as processes."""

import asyncio
import secrets
import signal
import sqlite3
import ssl
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest

from mimi_async.identity import ClientCredentials
from mimi_async.server.keyfile import NAMES
from mimi_async.server.users.repository import DEV_CLIENT
from mimi_async.server.users.sqlite import count_users

from .client import Answer, PlainClient, a_key
from .processes import run, serving

HTTP = "http://127.0.0.1:"


async def create(url: str, credentials: ClientCredentials = DEV_CLIENT, key: str | None = None) -> Answer:
    async with aiohttp.ClientSession() as session:
        return await PlainClient(SimpleNamespace(url=url), session).create(key, credentials)


def count_users_in(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return count_users(connection)


async def test_prints_its_address_and_stops_at_a_signal(database: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        async with serving(database) as server:
            assert server.line == f"serving {server.url} (database {database})\n"
            assert server.url.startswith(HTTP)
            assert (await create(server.url)).status == 201
            ended = await server.end(number)
            assert (ended.status, ended.out) == (0, "")
            assert "Traceback" not in ended.err
    assert count_users_in(database) == 2


async def test_kill_9_and_a_replay_create_one_user(database: Path) -> None:
    keys = [a_key() for _ in range(40)]
    async with serving(database) as server:
        creations = [asyncio.create_task(create(server.url, key=key)) for key in keys]
        await asyncio.wait(creations, return_when=asyncio.FIRST_COMPLETED)
        await server.end(signal.SIGKILL)
        await asyncio.wait(creations)
    seen = {
        key: task.result().json["anonymous_id"]
        for key, task in zip(keys, creations, strict=True)
        if task.exception() is None
    }
    assert seen
    async with serving(database) as server:
        replays = {key: await create(server.url, key=key) for key in keys}
    assert {key: replays[key].json["anonymous_id"] for key in seen} == seen
    assert {replays[key].status for key in seen} == {200}
    assert count_users_in(database) == len(keys)


async def test_the_first_client_gets_a_valid_secret_and_mimi_dev_is_removed(database: Path) -> None:
    url = f"sqlite:///{database}"
    added = await run("clients", "add", "acme", "acme-player", "--database", url)
    assert added.status == 0
    lines = dict(line.split("=") for line in added.out.splitlines())
    assert lines.keys() == {"MIMI_CLIENT_ID", "MIMI_CLIENT_SECRET"}
    assert len(lines["MIMI_CLIENT_SECRET"]) == 64
    assert f"{database}, which does not accept mimi-dev" in added.err
    async with serving(database, "--behind-proxy") as server:
        credentials = ClientCredentials(lines["MIMI_CLIENT_ID"], lines["MIMI_CLIENT_SECRET"])
        assert (await create(server.url, credentials)).status == 201
        assert (await create(server.url)).status == 401
    for path in database.parent.iterdir():
        assert lines["MIMI_CLIENT_SECRET"].encode() not in path.read_bytes()
    again = await run("clients", "add", "acme", "acme-player", "--database", url)
    assert (again.status, again.out) == (1, "")
    assert again.err.startswith("Error: there is a client 'acme-player' already: add one of another name")


async def test_adding_a_client_says_where_a_new_database_was_created(database: Path) -> None:
    url = f"sqlite:///{database}"
    first = await run("clients", "add", "acme", "player", "--database", url)
    second = await run("clients", "add", "acme", "tv", "--database", url)
    assert f"There was no database yet: {database} is new, and its keys are in {database}.keys: back" in first.err
    assert (second.status, "is new" in second.err) == (0, False)
    environ = {name: secrets.token_hex(32) for name in NAMES} | {"MIMI_DATABASE_URL": f"{url}-2"}
    third = await run("clients", "add", "acme", "player", environ=environ)
    assert f"There was no database yet: {database}-2 is new.\n" in third.err


async def test_the_help_says_what_becomes_of_a_changed_token_key() -> None:
    seen = " ".join((await run("serve", "--help")).out.split())
    assert "MIMI_TOKEN_KEY=new,old" in seen
    assert "openssl rand -hex 32" in seen


async def test_a_server_sees_a_new_client_at_once(database: Path) -> None:
    async with serving(database) as server:
        assert (await create(server.url)).status == 201
        added = await run("clients", "add", "acme", "player", environ={"MIMI_DATABASE_URL": f"sqlite:///{database}"})
        secret = added.out.partition("SECRET=")[2].strip()
        assert (await create(server.url, ClientCredentials("player", secret))).status == 201
        assert (await create(server.url)).status == 401


async def test_the_creation_limit_can_be_set(database: Path) -> None:
    added = await run("clients", "add", "acme", "player", "--database", f"sqlite:///{database}")
    credentials = ClientCredentials("player", added.out.partition("SECRET=")[2].strip())
    async with serving(database, "--creation-limit", "1") as server:
        assert [(await create(server.url, credentials)).status for _ in range(2)] == [201, 429]
    async with serving(database, "--creation-limit", "0") as server:
        assert [(await create(server.url, credentials)).status for _ in range(2)] == [201, 201]


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_it_serves_https(database: Path, tls: tuple[Path, Path], workers: str) -> None:
    trusting = ssl.create_default_context(cafile=tls[0])
    options = ("--tls-cert", str(tls[0]), "--tls-key", str(tls[1]), "--workers", workers)
    async with (
        serving(database, *options) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session,
        session.get(server.url + "/readyz") as reply,
    ):
        assert server.url.startswith("https://127.0.0.1:")
        assert reply.status == 200


async def test_older_versions_can_be_refused(database: Path) -> None:
    async with serving(database, "--oldest-sdk", "0.2.0") as server, aiohttp.ClientSession() as session:
        for agent, status in (
            ("mimi-async/0.1.9", 426),
            ("mimi-async/0.2.0", 401),
            ("mimi-async/0.10.0", 401),
            ("mimi-async/0.1.0 (host)", 426),
            ("mimi-async/x", 401),
            ("curl/0.1", 401),
        ):
            async with session.get(server.url + "/v1/user", headers={"User-Agent": agent}) as reply:
                assert reply.status == status, agent


@pytest.mark.parametrize(
    ("arguments", "status", "remedy"),
    [
        (["serve", "--host", "0.0.0.0"], 1, "Error: 0.0.0.0 can be reached from other machines"),  # noqa: S104 - it is refused
        (["serve", "--behind-proxy"], 1, "Error: the only client of this database is 'mimi-dev'"),
        (["serve", "--database", "mysql://x:hunter2@y/z"], 2, "a database is sqlite:///relative/path"),
        (["serve", "--database", "postgresql://x:hunter2@127.0.0.1:1/z"], 1, "Error: the user database in"),
        (["serve", "--workers", "0"], 2, "0"),
        (["serve", "--workers", "2", "--host", "0.0.0.0"], 1, "Error: 0.0.0.0 can be reached from other machines"),  # noqa: S104 - it is refused
        (["serve", "--workers", "2", "--host", "192.0.2.1"], 1, "Error: 192.0.2.1 can be reached"),
        (["serve", "--workers", "2", "--behind-proxy"], 1, "Error: the only client of this database is 'mimi-dev'"),
        (["serve", "--database", "sqlite:///"], 2, "a database is sqlite:///relative/path"),
        (["serve", "--database", "sqlite:////"], 1, "Error: / is a folder"),
        (["serve", "--port", "65536"], 2, "65536"),
        (["serve", "--tls-cert", "nowhere.pem"], 2, "does not exist"),
        (["serve", "--tls-cert", "users.sqlite3"], 2, "give --tls-cert and --tls-key together"),
        (["serve", "--tls-cert", "users.sqlite3", "--tls-key", "users.sqlite3"], 1, "no certificate chain"),
        (["serve", "--oldest-sdk", "new"], 2, "a version is numbers with dots"),
        (["serve", "--creation-limit", "-1"], 2, "-1"),
        (["clients", "add", "Ada Lovelace", "player"], 1, "Error: a partner and a client are named by"),
        (["clients", "add", "mimi-dev", "player"], 1, "not 'mimi-dev'"),
        (["clients", "add", "acme"], 2, "Missing argument"),
    ],
)
async def test_an_error_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, remedy: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if "users.sqlite3" in arguments:
        Path("users.sqlite3").write_text("no certificate")
    ended = await run(*arguments)
    assert ended.status == status
    assert remedy in ended.err
    assert "Traceback" not in ended.err
    assert "hunter2" not in ended.err
    assert ended.out == ""
    if arguments[0] == "clients":
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("clients", "add", "acme", "player")])
@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("{}\n", "the URL of the database ends in a line end: remove it"),
        ("{}/nowhere/users", "the folder {}/nowhere of the user database is missing: create it"),
        ("{}?mode=rw", "{} is missing, and must exist"),
        ("", "MIMI_DATABASE_URL is set and empty: give it a value, or unset it"),
    ],
)
async def test_a_nearly_right_database_url_creates_neither_a_database_nor_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], form: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path if "nowhere" in form else tmp_path / "users.sqlite3"
    ended = await run(*command, environ={"MIMI_DATABASE_URL": form.format(f"sqlite:///{path}")})
    assert (ended.status, ended.out) == (2 if "is missing" not in message else 1, "")
    assert message.format(path) in " ".join(ended.err.split())
    assert "Traceback" not in ended.err
    assert list(tmp_path.iterdir()) == []


def test_without_click_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['click'] = None; from mimi_async.__main__ import main; main()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "the command line needs click: pip install 'mimi-async[cli]'\n"
