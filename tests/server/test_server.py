"""Where the server listens, and where it refuses to."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import attrs
import pytest

from mimi_async.errors import ConfigurationError
from mimi_async.server import Server, Settings
from mimi_async.server.server import open_sockets
from mimi_async.server.users.repository import DEV_CLIENT
from mimi_async.server.users.sqlite import SQLiteUserRepository
from mimi_async.testing import IdentityServer

from .client import PlainClient, a_key
from .repositories import open_repositories
from .sockets import connection, serving

LOOPBACK = Settings(port=0)
PUBLIC = {
    "everywhere": Settings(port=0, host="0.0.0.0"),  # noqa: S104 - it is refused
    "everywhere by IPv6": Settings(port=0, host="::"),
    "an address": Settings(port=0, host="192.0.2.1"),
    "a name": Settings(port=0, host="identity.example"),
}


@pytest.fixture
def context(tls: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*tls)
    return context


async def add_client(database: Path) -> None:
    async with Server(database, LOOPBACK, environ={}) as server:
        assert await server.context.repository.add_client("acme", "acme-player", b"digest")


async def read_clients(database: Path) -> list[str]:
    async with open_repositories(SQLiteUserRepository(database)) as repository:
        return list(await repository.clients())


@pytest.mark.parametrize("settings", PUBLIC.values(), ids=PUBLIC)
async def test_does_not_serve_http_to_other_machines(database: Path, settings: Settings) -> None:
    await add_client(database)
    with pytest.raises(ConfigurationError, match="--tls-cert and --tls-key, or --behind-proxy"):
        await Server(database, settings, environ={}).start()


@pytest.mark.parametrize("exists", [False, True])
async def test_does_not_serve_other_machines_with_a_public_secret(
    database: Path, context: ssl.SSLContext, *, exists: bool
) -> None:
    if exists:
        async with Server(database, LOOPBACK, environ={}):
            assert await read_clients(database) == ["mimi-dev"]
    anywhere = "0.0.0.0"  # noqa: S104 - it is refused
    for settings in (
        Settings(port=0, host=anywhere, tls=context),
        Settings(port=0, host=anywhere, behind_proxy=True),
        Settings(port=0, behind_proxy=True),
    ):
        with pytest.raises(ConfigurationError, match=r"mimi-dev.*clients add"):
            await Server(database, settings, environ={}).start()
    assert await read_clients(database) == (["mimi-dev"] if exists else [])


async def test_with_a_client_of_its_own_it_serves_behind_a_proxy(database: Path) -> None:
    await add_client(database)
    async with Server(database, Settings(port=0, behind_proxy=True), environ={}) as server:
        assert server.url.startswith("http://127.0.0.1:")
    assert await read_clients(database) == ["acme-player"]


async def test_a_client_is_added_once(database: Path) -> None:
    async with open_repositories(SQLiteUserRepository(database)) as repository:
        for expected in (True, False):
            assert await repository.add_first_client("mimi-dev", DEV_CLIENT.client_id, b"digest") == expected
        for partner, expected in (("acme", True), ("other", False)):
            assert await repository.add_client(partner, "acme-player", b"digest") == expected
        assert await repository.clients() == ["acme-player"]


async def test_a_port_that_is_taken_is_a_clear_error(database: Path, server: IdentityServer) -> None:
    taken = Settings(port=server.port)
    with pytest.raises(ConfigurationError, match=r"can't listen on 127\.0\.0\.1 port"):
        await Server(database, taken, environ={}).start()
    async with Server(database, LOOPBACK, environ={}):
        pass


def test_every_address_of_a_host_gets_the_same_free_port() -> None:
    sockets = open_sockets("localhost", 0)
    assert len({listener.getsockname()[1] for listener in sockets}) == 1
    assert {listener.getsockname()[0] for listener in sockets} <= {"127.0.0.1", "::1"}
    for listener in sockets:
        listener.close()


async def test_a_stop_waits_for_running_requests(client: PlainClient, server: IdentityServer) -> None:
    async with server.hold("/v1/anonymous-users") as held:
        creation = asyncio.create_task(client.create())
        await held.arrived.wait()
        stop = asyncio.create_task(server.stop())
        with pytest.raises(aiohttp.ClientConnectorError):
            while True:
                await client.ask("GET", "/healthz")
        await asyncio.wait([stop], timeout=0.2)
        assert not stop.done()
        held.release()
        assert (await creation).status == 201
        await stop


async def test_a_stop_has_a_time_limit(tmp_path: Path) -> None:
    async with (
        IdentityServer(attrs.evolve(LOOPBACK, stop_seconds=0.2)) as server,
        aiohttp.ClientSession() as session,
        server.hold() as held,
    ):
        creation = asyncio.create_task(PlainClient(server, session).create())
        await held.arrived.wait()
        await server.stop()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await creation


@pytest.mark.parametrize("steps", range(6))
async def test_a_connection_that_comes_at_the_moment_of_a_stop_is_not_left_open(database: Path, steps: int) -> None:
    settings = attrs.evolve(LOOPBACK, stop_seconds=60.0)
    async with Server(database, settings, environ={}) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as late:
            for _ in range(steps):
                await asyncio.sleep(0)
            await server.stop()
            late.setblocking(False)
            with suppress(ConnectionResetError):
                assert await asyncio.get_running_loop().sock_recv(late, 1) == b""


async def test_a_stop_does_not_wait_for_idle_connections() -> None:
    async with serving(stop_seconds=60.0) as server, connection(server) as (reader, writer), asyncio.timeout(10):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b'{"status":"alive"}')
        await server.stop()
        assert await reader.read() == b""


async def test_two_servers_share_one_database(client: PlainClient, server: IdentityServer) -> None:
    key = a_key()
    async with two_more(server) as others:
        answers = await asyncio.gather(*(other.create(key, server.credentials) for other in others * 10))
    assert sorted(answer.status for answer in answers) == [200] * 19 + [201]
    assert len({answer.json["anonymous_id"] for answer in answers}) == 1
    assert server.users == 1


@asynccontextmanager
async def two_more(first: IdentityServer) -> AsyncIterator[list[PlainClient]]:
    """Two more servers on the database of a first one, each with a thread and a connection of its own."""
    one, two = (Server(first.database, LOOPBACK, environ={}) for _ in range(2))
    async with one, two, aiohttp.ClientSession() as session:
        yield [PlainClient(server, session) for server in (one, two)]


def test_mimi_dev_is_what_the_documents_say() -> None:
    assert DEV_CLIENT.client_id == "mimi-dev"
    assert DEV_CLIENT.secret.reveal() == "mimi-dev-secret"
