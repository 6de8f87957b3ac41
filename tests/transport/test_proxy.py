"""Only a proxy leads out: what goes through it, how it fails, and that its credentials are never shown."""

import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mimi_async.core import MimiCore
from mimi_async.errors import ConfigurationError, InsecureServerError, ProtocolError, ServerUnreachableError
from mimi_async.server import Settings
from mimi_async.stores import MemoryStore
from mimi_async.testing import IdentityServer
from mimi_async.transport import Transport

from .doubles import CREDENTIALS, GET, LOG_IN, Naps
from .proxies import BASIC, CANARIES, HOST, PASSWORD, QUOTED, USER, ProxyServer, through
from .script import ScriptedServer, reply
from .test_failures import free_port
from .test_secrets import everything_in

# What goes through ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speaks_tls", [False, True], ids=["http proxy", "https proxy"])
@pytest.mark.parametrize("credentials", [None, f"{USER}:{PASSWORD}"], ids=["open", "with credentials"])
async def test_a_server_that_only_the_proxy_knows_is_asked_through_a_tunnel(
    speaks_tls: bool, credentials: str | None, tls: ssl.SSLContext, trusting: aiohttp.ClientSession, naps: Naps
) -> None:
    login = "" if credentials is None else f"{QUOTED}@"
    async with (
        ScriptedServer(reply(), tls=tls) as server,
        ProxyServer(tls=tls if speaks_tls else None, credentials=credentials) as proxy,
        through(f"{proxy.scheme}://{login}{proxy.name}", server.url, naps, trusting) as transport,
    ):
        for request in (LOG_IN, GET, LOG_IN):
            assert (await transport.send(request)).status == 200
        assert "canary" not in repr(transport)
        port = server.port
    assert (proxy.connections, server.connections, naps.taken) == (1, 1, [])
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT {HOST}:{port} HTTP/1.1\r\n")
    assert "authorization: basic" not in head.lower().replace("proxy-authorization: basic", "")
    assert (f"Proxy-Authorization: Basic {BASIC}" in head) == (credentials is not None)
    for asked in server.asked:
        assert not [name for name in asked.headers if name.startswith("proxy")]
    assert server.asked[0].headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize("credentials", [None, f"{USER}:{PASSWORD}"], ids=["open", "with credentials"])
async def test_a_server_without_tls_on_this_machine_is_asked_in_absolute_form(
    credentials: str | None, naps: Naps
) -> None:
    login = "" if credentials is None else f"{QUOTED}@"
    async with (
        ScriptedServer(reply()) as server,
        ProxyServer(credentials=credentials) as proxy,
        through(f"http://{login}{proxy.name}", server.url, naps) as transport,
    ):
        for _ in range(2):
            assert (await transport.send(LOG_IN)).status == 200
        url = server.url
    assert proxy.heads[0].startswith(f"POST {url}/v1/sessions HTTP/1.1\r\n")
    assert (f"Proxy-Authorization: Basic {BASIC}" in proxy.heads[0]) == (credentials is not None)
    assert proxy.connections == 1


async def test_a_name_that_only_the_proxy_knows_is_not_looked_up_here(
    tls: ssl.SSLContext, trusting: aiohttp.ClientSession, naps: Naps
) -> None:
    name = "identity.example.invalid"
    async with (
        ScriptedServer(reply(), tls=tls) as server,
        ProxyServer({name: server.port}) as proxy,
        through(proxy.url, f"https://{name}", naps, trusting) as transport,
    ):
        with pytest.raises(InsecureServerError, match=rf"the server {name}:443 \(through the proxy {proxy.name}\)"):
            await transport.send(LOG_IN)  # the certificate is that of 127.0.0.1: the proxy has found the server
    assert proxy.heads[0].startswith(f"CONNECT {name}:443 ")


async def test_a_core_takes_the_proxy_of_the_environment_if_the_host_gives_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with ProxyServer(refusal=403) as proxy:
        core = MimiCore(
            CREDENTIALS, server="https://identity.example", store=MemoryStore(), account=None, proxy=proxy.url
        )
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
        async with core:
            with pytest.raises(ProtocolError, match=f"the proxy {proxy.name} refused"):
                await (await core.auth_for("anna")).ensure_user()
    assert "HTTPS_PROXY" not in caplog.text


# The environment and injected sessions --------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_proxy_of_the_environment_is_not_used_and_the_log_says_so(
    variable: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, naps: Naps
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with ProxyServer() as proxy:
        monkeypatch.setenv(variable, f"http://{QUOTED}@{proxy.name}")
        async with Transport(f"https://127.0.0.1:{free_port()}", CREDENTIALS, sleep=naps.sleep) as transport:
            with pytest.raises(ServerUnreachableError):
                await transport.send(LOG_IN)
    (line,) = [
        record for record in caplog.records if record.name == "mimi_async.transport" and record.levelname != "INFO"
    ]
    assert line.levelname == "WARNING"
    assert (
        line.getMessage()
        == f"transport: {variable} is set and not used: give MimiCore(proxy=os.environ['{variable}']) to use it"
    )
    assert proxy.connections == 0


async def test_a_server_that_the_environment_excepts_needs_no_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "identity.example")
    monkeypatch.setenv("no_proxy", "identity.example")
    for server in ("https://identity.example", "http://127.0.0.1:1"):
        async with Transport(server, CREDENTIALS):
            pass
    assert caplog.records == []


async def middleware(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    raise AssertionError


WAYS: dict[str, dict[str, Any]] = {
    "proxy=": {"proxy": f"http://{QUOTED}@127.0.0.1:1"},
    "trust_env=True": {"trust_env": True},
    "middlewares=": {"middlewares": [middleware]},
    "a Proxy-Authorization header": {"headers": {"proxy-authorization": f"Basic {BASIC}"}},
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_session_whose_own_way_would_be_dropped_is_refused(way: str) -> None:
    async with aiohttp.ClientSession(**WAYS[way]) as session:
        with pytest.raises(ConfigurationError, match=r"MimiCore\(proxy='http://proxy\.example:3128'\)") as caught:
            MimiCore(CREDENTIALS, server="https://identity.example", store=MemoryStore(), session=session)
    assert f"the injected ClientSession has {way}, and only its connector" in str(caught.value)
    shown = everything_in(caught.value)  # first: in Python 3.12 the comprehension adds a local of this frame
    assert [canary for canary in CANARIES if canary in shown] == []


@pytest.mark.parametrize("way", WAYS)
async def test_a_session_with_a_way_of_its_own_gives_its_connector_where_the_proxy_is_named(
    way: str, tls: ssl.SSLContext, self_signed: Path, naps: Naps
) -> None:
    context = ssl.create_default_context(cafile=self_signed)
    async with (
        ScriptedServer(reply(), tls=tls) as server,
        ProxyServer() as proxy,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), **WAYS[way]) as session,
        through(proxy.url, server.url, naps, session) as transport,
    ):
        assert (await transport.send(LOG_IN)).status == 200
    assert len(proxy.heads) == 1
    assert "proxy-authorization" not in proxy.heads[0].lower()


async def test_a_core_makes_a_user_at_a_server_that_only_the_proxy_reaches(
    tls: ssl.SSLContext, trusting: aiohttp.ClientSession
) -> None:
    async with (
        IdentityServer(Settings(port=0, tls=tls, creation_limit=None)) as server,
        ProxyServer(tls=tls, credentials=f"{USER}:{PASSWORD}") as proxy,
        MimiCore(
            server.credentials,
            server=server.url,
            store=MemoryStore(),
            session=trusting,
            proxy=f"https://{QUOTED}@{proxy.name}",
        ) as core,
    ):
        user = await core.auth.ensure_user()
        assert await core.auth.reload_user() == user
        assert server.users == 1
    assert all(head.startswith("CONNECT 127.0.0.1:") for head in proxy.heads)
