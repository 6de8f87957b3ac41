"""What comes back, and what is refused."""

import asyncio
import datetime as dt
import email.utils
from collections.abc import Callable

import attrs
import pytest

from mimi_async.errors import MimiError, ProtocolError, ServerBusyError
from mimi_async.transport import Transport

from .doubles import LOG_IN, Clock, Naps
from .script import Answer, Asked, ScriptedServer, raw, reply

To = Callable[[str], Transport]
PROBLEM = {"Content-Type": "application/problem+json; charset=utf-8"}


async def failure_of(answer: Answer, transport_to: To, *, limit: int = LOG_IN.limit) -> MimiError:
    """The error that an answer becomes, which was asked for once, and whose connection was closed."""
    async with ScriptedServer(answer) as server, transport_to(server.url) as transport:
        with pytest.raises(MimiError) as caught:
            await transport.send(attrs.evolve(LOG_IN, limit=limit))
        assert len(server.asked) == 1
        await server.was_left()
    return caught.value


async def test_returns_what_the_contract_reads(transport_to: To) -> None:
    async with ScriptedServer(reply(200, b'{"a": 1}', PROBLEM)) as server, transport_to(server.url) as transport:
        answer = await transport.send(LOG_IN)
    asked = server.asked[0].headers
    assert (answer.status, answer.body, answer.content_type) == (200, b'{"a": 1}', "application/problem+json")
    assert (answer.exchange, answer.request_id) == (asked["mimi-exchange"], asked["x-request-id"])


@pytest.mark.parametrize("status", [201, 204, 400, 401, 403, 404, 410, 413, 422, 426])
async def test_returns_an_answer_of_any_status_for_the_contract_to_judge(status: int, transport_to: To) -> None:
    async with (
        ScriptedServer(reply(status, b"" if status == 204 else b"{}")) as server,
        transport_to(server.url) as transport,
    ):
        assert (await transport.send(LOG_IN)).status == status


async def test_reads_a_body_that_comes_in_pieces(transport_to: To) -> None:
    answer = raw(
        b"HTTP/1.1 200 OK\r\nMimi-Exchange: EXCHANGE\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
    )
    async with ScriptedServer(answer) as server, transport_to(server.url) as transport:
        assert (await transport.send(LOG_IN)).body == b"abcdef"


async def test_reads_a_body_of_just_the_limit(transport_to: To) -> None:
    async with ScriptedServer(reply(200, b"x" * 65_536)) as server, transport_to(server.url) as transport:
        assert len((await transport.send(LOG_IN)).body) == 65_536


@pytest.mark.parametrize("size", [65_537, 5_000_000])
async def test_refuses_a_body_beyond_the_limit(size: int, transport_to: To) -> None:
    error = await failure_of(reply(200, b"x" * size), transport_to)
    assert isinstance(error, ProtocolError)
    assert "more than 65536 bytes" in str(error)


async def test_stops_reading_an_endless_body_at_the_limit(transport_to: To) -> None:
    chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
    head = b"HTTP/1.1 200 OK\r\nMimi-Exchange: EXCHANGE\r\nTransfer-Encoding: chunked\r\n\r\n"
    error = await failure_of(raw(head + chunk * 30, then_close=False), transport_to)
    assert "more than 65536 bytes" in str(error)


async def test_the_request_says_how_large_its_answer_may_be(transport_to: To) -> None:
    error = await failure_of(reply(200, b"123456"), transport_to, limit=5)
    assert "more than 5 bytes" in str(error)


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity"])
async def test_refuses_a_content_encoding(encoding: str, transport_to: To) -> None:
    error = await failure_of(reply(200, b"{}", {"Content-Encoding": encoding}), transport_to)
    assert isinstance(error, ProtocolError)
    assert "is encoded" in str(error)


async def test_judges_an_encoded_error_page_by_its_status(transport_to: To, naps: Naps) -> None:
    page = reply(503, b"\x1f\x8b garbage", {"Content-Encoding": "gzip", "Retry-After": "3"})
    async with ScriptedServer(page, reply()) as server, transport_to(server.url) as transport:
        assert (await transport.send(LOG_IN)).status == 200
    assert naps.taken == [3]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
async def test_follows_no_redirect(status: int, transport_to: To) -> None:
    async with (
        ScriptedServer(reply()) as other,
        ScriptedServer(reply(status, b"", {"Location": f"{other.url}/hush"})) as server,
        transport_to(server.url) as transport,
    ):
        with pytest.raises(ProtocolError, match=rf"redirects \({status}\)") as caught:
            await transport.send(LOG_IN)
    assert (len(server.asked), other.asked) == (1, [])
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: minus one\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n",
    ],
)
async def test_refuses_what_is_no_http(garbage: bytes, transport_to: To) -> None:
    error = await failure_of(raw(garbage, then_close=False), transport_to)
    assert isinstance(error, ProtocolError)
    assert "no HTTP" in str(error)


async def test_garbage_after_the_head_costs_no_more_than_an_attempt(transport_to: To, naps: Naps, clock: Clock) -> None:
    """aiohttp closes the connection, and tells nobody: the reader would wait for ever."""

    async def answer(asked: Asked) -> None:
        await asked.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await asyncio.sleep(0.01)
        await asked.say(b"hello\r\n")
        await asked.stay_silent()
        clock.advance(10)

    async with ScriptedServer(answer, reply()) as server, transport_to(server.url) as transport:
        assert (await transport.send(LOG_IN)).status == 200
    assert len(naps.taken) == 1


async def test_refuses_to_switch_protocols(transport_to: To) -> None:
    switch = raw(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", then_close=False)
    async with ScriptedServer(switch) as server, transport_to(server.url) as transport:
        assert (await transport.send(LOG_IN)).status == 101
        await server.was_left()


@pytest.mark.parametrize("exchange", ["", "another", "0" * 16])
async def test_refuses_the_answer_of_another_exchange(exchange: str, transport_to: To) -> None:
    error = await failure_of(reply(200, b"{}", {"Mimi-Exchange": exchange}), transport_to)
    assert isinstance(error, ProtocolError)
    assert "another exchange" in str(error)


async def test_refuses_a_verdict_of_another_exchange(transport_to: To) -> None:
    body = b'{"type": "urn:mimi-async:erased", "status": 410}'
    error = await failure_of(reply(410, body, {**PROBLEM, "Mimi-Exchange": "another"}), transport_to)
    assert isinstance(error, ProtocolError)


async def test_a_connection_that_carried_anothers_answer_is_not_used_again(transport_to: To) -> None:
    """Or each call on it would get the answer of the one before, for ever."""
    wrong = reply(200, b"{}", {"Mimi-Exchange": "another"})
    async with ScriptedServer(wrong, reply()) as server, transport_to(server.url) as transport:
        with pytest.raises(ProtocolError):
            await transport.send(LOG_IN)
        await transport.send(LOG_IN)
    assert [asked.connection for asked in server.asked] == [1, 2]


async def test_reads_a_date_to_wait_for(transport_to: To, naps: Naps) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=9)
    busy = reply(429, b"", {"Retry-After": email.utils.format_datetime(soon, usegmt=True)})
    async with ScriptedServer(busy, reply()) as server, transport_to(server.url) as transport:
        await transport.send(LOG_IN)
    assert 7 <= naps.taken[0] <= 9


async def test_a_busy_server_keeps_its_connection(transport_to: To, naps: Naps) -> None:
    async with ScriptedServer(reply(503, b"{}"), reply()) as server, transport_to(server.url) as transport:
        await transport.send(LOG_IN)
    assert server.connections == 1


async def test_does_not_wait_for_the_body_of_a_failing_server(transport_to: To, naps: Naps) -> None:
    endless = raw(b"HTTP/1.1 503 Busy\r\nContent-Length: 10\r\nRetry-After: 60\r\n\r\n", then_close=False)
    async with ScriptedServer(endless) as server, transport_to(server.url) as transport:
        with pytest.raises(ServerBusyError) as caught:
            await transport.send(LOG_IN)
        await server.was_left()
    assert caught.value.retry_after == 60
