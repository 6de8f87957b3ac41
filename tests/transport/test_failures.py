"""Failures of the network, and the error of each."""

import asyncio
import socket
import ssl

import aiohttp
import attrs
import pytest

from mimi_async import wire
from mimi_async.errors import (
    ConfigurationError,
    InsecureServerError,
    ServerError,
    ServerTimeoutError,
    ServerUnreachableError,
)
from mimi_async.transport import Transport

from ..doubles import settle
from .doubles import CREDENTIALS, GET, LOG_IN, UNSAFE, Clock, Naps, To
from .script import Answer, Asked, Replying, ScriptedServer, raw, reply, reset, silence


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.mark.parametrize("request_", [LOG_IN, GET], ids=["POST", "GET"])
async def test_a_refused_connection_is_an_unreachable_server(
    request_: wire.Request, transport_to: To, naps: Naps
) -> None:
    port = free_port()
    async with transport_to(f"http://127.0.0.1:{port}") as transport:
        with pytest.raises(ServerUnreachableError, match=rf"127\.0\.0\.1:{port} can't be reached") as caught:
            await transport.send(request_)
    assert "ConnectionRefusedError" in str(caught.value)
    assert caught.value.request_id
    assert len(naps.taken) == 2


async def test_a_name_without_an_address_is_an_unreachable_server(transport_to: To, naps: Naps) -> None:
    async with transport_to("https://unknown.invalid") as transport:
        with pytest.raises(ServerUnreachableError, match=r"unknown\.invalid:443 can't be reached"):
            await transport.send(LOG_IN)
    assert len(naps.taken) == 2


async def test_an_invalid_name_is_a_configuration_error(transport_to: To, naps: Naps) -> None:
    async with transport_to(f"https://{'x' * 64}.example") as transport:
        with pytest.raises(ConfigurationError, match="can't be sent: its host name"):
            await transport.send(LOG_IN)
    assert naps.taken == []


@pytest.mark.parametrize(
    "broken",
    [
        reset,
        raw(b""),
        raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
        raw(b"HTTP/1.1 200 OK\r\nMimi-Exchange: EXCHANGE\r\nContent-Length: 10\r\n\r\n12345"),
        raw(b"HTTP/1.1 200 OK\r\nMimi-Exchange: EXCHANGE\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"),
    ],
    ids=["reset", "closed", "half a head", "half a body", "half a chunk"],
)
async def test_a_connection_that_breaks_is_tried_again(broken: Answer, transport_to: To, naps: Naps) -> None:
    async with ScriptedServer(broken, broken, reply()) as server, transport_to(server.url) as transport:
        assert (await transport.send(LOG_IN)).status == 200
        assert (len(server.asked), len(naps.taken)) == (3, 2)
    async with ScriptedServer(broken) as server, transport_to(server.url) as transport:
        with pytest.raises(ServerUnreachableError, match="before its answer was complete"):
            await transport.send(LOG_IN)


async def drip(asked: Asked) -> None:
    """A head, and then one byte for each that is read."""
    await asked.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        await asked.say(b"x")
        await asyncio.sleep(0)


async def half_a_head(asked: Asked) -> None:
    await asked.say(b"HTTP/1.1 200 OK\r\n")
    await asked.stay_silent()


async def only_interim_answers(asked: Asked) -> None:
    while True:
        await asked.say(b"HTTP/1.1 102 Processing\r\n\r\n")
        await asyncio.sleep(0)


@pytest.mark.parametrize("slow", [silence, half_a_head, drip, only_interim_answers])
async def test_an_attempt_ends_after_ten_seconds(slow: Answer, transport_to: To, naps: Naps, clock: Clock) -> None:
    async with ScriptedServer(slow, reply()) as server, transport_to(server.url) as transport:
        call = asyncio.create_task(transport.send(LOG_IN))
        await server.was_asked(1)
        start = clock()
        clock.advance(9.5)
        await settle()
        assert len(server.asked) == 1
        clock.advance(0.6)
        assert (await call).status == 200
        assert clock() - start < 10.5
    assert len(naps.taken) == 1
    assert [asked.connection for asked in server.asked] == [1, 2]


async def test_each_of_many_attempts_has_its_own_ten_seconds(transport_to: To, clock: Clock) -> None:
    async with ScriptedServer(silence) as server, transport_to(server.url) as transport:
        start, calls = clock(), []
        for number in range(1, 4):
            calls.append(asyncio.create_task(transport.send(UNSAFE)))
            await server.was_asked(number)
            clock.advance(3)
        for number, call in enumerate(calls):
            await settle()
            assert not call.done()
            clock.advance(3 * number + 10.1 - (clock() - start))
            with pytest.raises(ServerTimeoutError):
                await call
            assert clock() - start < 3 * number + 10.5


async def test_a_limit_ends_with_its_attempt(transport_to: To, clock: Clock) -> None:
    async with ScriptedServer(reply()) as server, transport_to(server.url) as transport:
        await transport.send(LOG_IN)
        await transport.send(attrs.evolve(LOG_IN, deadline=clock() + 5))
        clock.advance(31)
        await settle()
        assert (await transport.send(LOG_IN)).status == 200


async def test_says_that_no_answer_came_in_time(transport_to: To, clock: Clock) -> None:
    async with ScriptedServer(silence) as server, transport_to(server.url) as transport:
        call = asyncio.create_task(transport.send(LOG_IN))
        for attempt in range(1, 4):
            await server.was_asked(attempt)
            clock.advance(10.1)
        with pytest.raises(ServerTimeoutError, match="did not answer in time") as caught:
            await call
        assert isinstance(caught.value, TimeoutError)
        await server.was_left()


async def test_a_connection_has_five_seconds(transport_to: To, naps: Naps, clock: Clock) -> None:
    """The backlog of this listener is full: the kernel does not answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        async with transport_to(f"http://127.0.0.1:{listener.getsockname()[1]}") as transport:
            call = asyncio.create_task(transport.send(LOG_IN))
            while not call.done():
                await settle()
                clock.advance(5.1)
            with pytest.raises(ServerTimeoutError, match="could not be connected in time"):
                await call
        for filler in fillers:
            filler.close()
    assert len(naps.taken) == 2


async def test_an_unknown_certificate_is_refused_before_anything_is_sent(
    tls: ssl.SSLContext, transport_to: To, naps: Naps
) -> None:
    async with ScriptedServer(reply(), tls=tls) as server, transport_to(server.url) as transport:
        with pytest.raises(InsecureServerError, match=r"127\.0\.0\.1:\d+ can't be trusted: self-signed certificate"):
            await transport.send(LOG_IN)
        assert (server.asked, naps.taken) == ([], [])


@pytest.mark.parametrize(
    ("words", "error"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n", InsecureServerError), (b"", ServerUnreachableError)],
    ids=["speaks no TLS", "hangs up"],
)
async def test_only_a_server_without_tls_is_insecure(
    words: bytes, error: type[ServerError], transport_to: To, naps: Naps
) -> None:
    async with Replying(words) as server, transport_to(f"https://127.0.0.1:{server.port}") as transport:
        with pytest.raises(error) as caught:
            await transport.send(LOG_IN)
    assert len(naps.taken) == (0 if words else 2)
    assert not words or "does not speak TLS as expected" in str(caught.value)


async def test_a_pinned_certificate_of_another_is_refused(tls: ssl.SSLContext, naps: Naps) -> None:
    connector = aiohttp.TCPConnector(ssl=aiohttp.Fingerprint(b"x" * 32))
    async with (
        ScriptedServer(reply(), tls=tls) as server,
        aiohttp.ClientSession(connector=connector) as session,
        Transport(server.url, CREDENTIALS, session=session, sleep=naps.sleep) as transport,
    ):
        with pytest.raises(InsecureServerError):
            await transport.send(LOG_IN)
    assert naps.taken == []


async def test_a_certificate_that_the_host_trusts_is_accepted(
    tls: ssl.SSLContext, trusting: aiohttp.ClientSession
) -> None:
    async with (
        ScriptedServer(reply(), tls=tls) as server,
        Transport(server.url, CREDENTIALS, session=trusting) as transport,
    ):
        assert (await transport.send(LOG_IN)).status == 200
