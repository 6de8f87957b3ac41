"""How a proxy fails, and that its credentials are never shown."""

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mimi_async import wire
from mimi_async.core import MimiCore
from mimi_async.errors import (
    ConfigurationError,
    InsecureServerError,
    MimiError,
    ProtocolError,
    ServerTimeoutError,
    ServerUnreachableError,
)
from mimi_async.stores import MemoryStore
from mimi_async.transport import Transport, read_proxy

from .conftest import serving
from .doubles import CREDENTIALS, GET, ID, LOG_IN, UNSAFE, Clock, Naps
from .proxies import BASIC, CANARIES, HOST, QUOTED, ProxyServer, through
from .script import Replying, ScriptedServer, reply, silence
from .test_failures import free_port
from .test_secrets import everything_in

# Failures -------------------------------------------------------------------------------------------------------------


async def test_a_proxy_that_can_not_be_reached_is_named(naps: Naps) -> None:
    port = free_port()
    async with through(f"http://{QUOTED}@127.0.0.1:{port}", "https://identity.example", naps) as transport:
        with pytest.raises(
            ServerUnreachableError, match=rf"the proxy 127\.0\.0\.1:{port} can't be reached \(ConnectionRefusedError\)"
        ) as caught:
            await transport.send(UNSAFE)
    assert (caught.value.retryable, len(naps.taken)) == (True, 2)


async def test_a_proxy_whose_name_is_not_known_is_named(naps: Naps) -> None:
    async with through("http://proxy.invalid:3128", "https://identity.example", naps) as transport:
        with pytest.raises(ServerUnreachableError, match=r"the proxy proxy\.invalid:3128 can't be reached"):
            await transport.send(LOG_IN)


@pytest.mark.parametrize(
    ("status", "error", "says", "retries"),
    [
        (407, ProtocolError, r"requires credentials \(407\).*proxy='http://user:password@", 0),
        (403, ProtocolError, r"refused to connect to the server identity\.example:443 \(403\).*allow CONNECT", 0),
        (405, ProtocolError, r"refused to connect to the server identity\.example:443 \(405\)", 0),
        (302, ProtocolError, r"refused to connect", 0),
        (429, ServerUnreachableError, r"could not connect to the server identity\.example:443 \(429\): try again", 2),
        (502, ServerUnreachableError, r"could not connect to the server identity\.example:443 \(502\): try again", 2),
        (503, ServerUnreachableError, r"could not connect", 2),
        (504, ServerUnreachableError, r"could not connect", 2),
    ],
)
@pytest.mark.parametrize("request_", [UNSAFE, GET], ids=["POST", "GET"])
async def test_a_proxy_that_refuses_is_named_with_the_remedy(
    request_: wire.Request, status: int, error: type[MimiError], says: str, retries: int, naps: Naps
) -> None:
    async with ProxyServer(refusal=status) as proxy, through(proxy.url, "https://identity.example", naps) as transport:
        with pytest.raises(error, match=f"the proxy {proxy.name} {says}") as caught:
            await transport.send(request_)
    assert caught.value.retryable
    assert (len(naps.taken), proxy.connections) == (retries, retries + 1)
    assert caught.value.request_id


async def test_wrong_credentials_and_missing_ones_are_different_errors(naps: Naps) -> None:
    async with ProxyServer(credentials="jo:right") as proxy:
        async with through(f"http://{QUOTED}@{proxy.name}", "https://identity.example", naps) as transport:
            with pytest.raises(ProtocolError, match=rf"the proxy {proxy.name} did not accept the credentials \(407\)"):
                await transport.send(LOG_IN)
        async with (
            ScriptedServer(reply()) as server,
            through(f"http://{QUOTED}@{proxy.name}", server.url, naps) as transport,
        ):
            with pytest.raises(ProtocolError, match=rf"through the proxy {proxy.name}\) requires credentials \(407\)"):
                await transport.send(LOG_IN)
    assert naps.taken == []


async def test_a_proxy_that_is_not_trusted_is_named_and_nothing_is_sent(
    another_self_signed: Path, trusting: aiohttp.ClientSession, naps: Naps
) -> None:
    async with (
        ProxyServer(tls=serving(another_self_signed)) as proxy,
        through(f"https://{QUOTED}@{proxy.name}", "https://identity.example", naps, trusting) as transport,
    ):
        with pytest.raises(InsecureServerError, match=f"the proxy {proxy.name} can't be trusted: self-signed"):
            await transport.send(LOG_IN)
    assert (proxy.heads, naps.taken) == ([], [])


@pytest.mark.parametrize(
    ("scheme", "words", "error", "says"),
    [
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", InsecureServerError, "the proxy {} can't be trusted.*http://"),
        ("http", b"", ServerUnreachableError, "through the proxy {}"),
    ],
    ids=["speaks no TLS", "hangs up"],
)
async def test_a_proxy_that_speaks_no_tls_or_hangs_up_is_named(
    scheme: str, words: bytes, error: type[MimiError], says: str, naps: Naps
) -> None:
    async with Replying(words) as proxy:
        name = f"{HOST}:{proxy.port}"
        async with through(f"{scheme}://{name}", "https://identity.example", naps) as transport:
            with pytest.raises(error, match=says.format(name)):
                await transport.send(LOG_IN)


async def test_a_server_behind_a_proxy_that_is_not_trusted_is_named_with_both(
    tls: ssl.SSLContext, another_self_signed: Path, naps: Naps
) -> None:
    async with (
        ScriptedServer(reply(), tls=serving(another_self_signed)) as server,
        ProxyServer() as proxy,
        through(proxy.url, server.url, naps) as transport,
    ):
        with pytest.raises(
            InsecureServerError, match=rf"{server.port} \(through the proxy {proxy.name}\) can't be trus"
        ):
            await transport.send(LOG_IN)
    assert server.asked == []


async def test_an_answer_through_a_proxy_that_does_not_come_in_time_names_both(
    tls: ssl.SSLContext, trusting: aiohttp.ClientSession, naps: Naps, clock: Clock
) -> None:
    async with (
        ScriptedServer(silence, tls=tls) as server,
        ProxyServer() as proxy,
        through(proxy.url, server.url, naps, trusting) as transport,
    ):
        call = asyncio.create_task(transport.send(UNSAFE))
        await server.was_asked(1)
        clock.advance(10.1)
        with pytest.raises(
            ServerTimeoutError, match=rf"{server.port} \(through the proxy {proxy.name}\) did not answer"
        ):
            await call


# Secrets --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", [None, 302, 403, 407, 502])
@pytest.mark.parametrize("server", ["https://identity.example", "http://127.0.0.1:1"])
async def test_no_fault_of_a_proxy_shows_its_credentials(
    refusal: int | None, server: str, naps: Naps, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    async with ProxyServer(refusal=refusal) as proxy:
        core = MimiCore(
            CREDENTIALS, server=server, store=MemoryStore(), account=None, proxy=f"http://{QUOTED}@{proxy.name}"
        )
        async with core:
            with pytest.raises(MimiError) as caught:
                await (await core.auth_for("anna")).ensure_user()
        async with through(f"http://{QUOTED}@{proxy.name}", server, naps) as transport:
            with pytest.raises(MimiError) as sent:
                wire.read_session(await transport.send(LOG_IN), ID)
        shown = everything_in(caught.value) + everything_in(sent.value) + caplog.text + repr(core) + repr(transport)
    assert [canary for canary in (*CANARIES, "canary-reason") if canary in shown] == []
    assert (sent.value.__cause__, sent.value.__context__) == (None, None)


@pytest.mark.parametrize(
    "proxy",
    [
        f"ftp://{QUOTED}@proxy.example:3128",
        f"socks5://{QUOTED}@proxy.example:1080",
        f"{QUOTED}@proxy.example:3128",
        f"http://{QUOTED}@proxy.example:99999",
        f"http://{QUOTED}@",
        f"http://{QUOTED}@proxy.example/path",
        f"http://{QUOTED}@proxy.example/?a=b",
        f"http://{QUOTED}@proxy.example#a",
        f"http://{QUOTED}@proxy.example\n",
        f" http://{QUOTED}@proxy.example",
        f"http://{QUOTED}%0d%0a@proxy.example",
        "http://jo%3Aacme:canary%2Fpass@proxy.example",
        "proxy.example:3128",
        "",
        "http://",
        7,
        b"http://proxy.example",
    ],
)
def test_what_is_not_the_address_of_a_proxy_is_refused_without_quoting_it(proxy: Any) -> None:
    refused = [proxy]
    with pytest.raises(ConfigurationError, match=r"proxy is|of a proxy are") as caught:
        MimiCore(CREDENTIALS, server="https://identity.example", store=MemoryStore(), proxy=refused.pop())
    shown = everything_in(beyond_the_test(caught.value))
    assert [canary for canary in ("canary", BASIC, "jo%40acme") if canary in shown] == []


def beyond_the_test(error: MimiError) -> MimiError:
    """Take the frame of the test itself from a traceback: that one knows what it has given."""
    assert error.__traceback__ is not None
    return error.with_traceback(error.__traceback__.tb_next)


def test_a_mistake_beside_the_proxy_does_not_show_its_credentials() -> None:
    refused = [f"http://{QUOTED}@proxy.example"]
    with pytest.raises(ConfigurationError) as caught:
        MimiCore(
            CREDENTIALS,
            server="https://identity.example",
            store=MemoryStore(),
            max_idle_controllers=-1,
            proxy=refused.pop(),
        )
    shown = everything_in(caught.value)  # first: in Python 3.12 the comprehension adds a local of this frame
    assert [canary for canary in CANARIES if canary in shown] == []


def test_ids_are_not_sent_unencrypted_to_a_proxy_on_another_machine() -> None:
    with pytest.raises(
        ConfigurationError, match=r"127\.0\.0\.1:8765 is named by http://, and the proxy proxy\.example:3128"
    ):
        Transport("http://127.0.0.1:8765", CREDENTIALS, proxy=read_proxy("http://proxy.example:3128"))


def test_a_proxy_goes_with_a_server_and_not_with_send() -> None:
    async def send(_: wire.Request) -> wire.Reply:
        raise AssertionError

    with pytest.raises(ConfigurationError, match="send replaces the transport"):
        MimiCore(store=MemoryStore(), send=send, proxy="http://proxy.example:3128")
