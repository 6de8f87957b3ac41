"""Replies: those that are returned, and those that are refused."""

import attrs
import pytest

from mimi_async import wire
from mimi_async.errors import ProtocolError, ServerBusyError
from mimi_async.secret import AccessToken

from ..doubles import settle
from .doubles import LOG_IN, Clock, Naps, To
from .script import Answer, Asked, ScriptedServer, raw, reply

PROBLEM = {"Content-Type": "application/problem+json; charset=utf-8"}


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


PIECES = (
    b"HTTP/1.1 200 OK\r\nMimi-Exchange: EXCHANGE\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
)


@pytest.mark.parametrize(
    ("answer", "body"),
    [(raw(PIECES), b"abcdef"), (reply(200, b"x" * 65_536), b"x" * 65_536)],
    ids=["in pieces", "of the maximum size"],
)
async def test_reads_a_body(answer: Answer, body: bytes, transport_to: To) -> None:
    async with ScriptedServer(answer) as server, transport_to(server.url) as transport:
        assert (await transport.send(LOG_IN)).body == body


OK = b"HTTP/1.1 200 OK\r\n"
CHUNK = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
ENDLESS = OK + b"Mimi-Exchange: EXCHANGE\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK * 30
VERDICT = b'{"type": "urn:mimi-async:erased", "status": 410}'
REFUSED: dict[str, tuple[Answer, str]] = {
    "a byte beyond the limit": (reply(200, b"x" * 65_537), "more than 65536 bytes"),
    "far beyond the limit": (reply(200, b"x" * 5_000_000), "more than 65536 bytes"),
    "an endless body": (raw(ENDLESS, then_close=False), "more than 65536 bytes"),
    **{name: (reply(200, b"{}", {"Content-Encoding": name}), "is encoded") for name in ("gzip", "br", "identity")},
    "another protocol": (raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", then_close=False), "not HTTP"),
    "no number": (raw(b"HTTP/1.1 two hundred\r\n\r\n", then_close=False), "not HTTP"),
    "no colon": (raw(OK + b"no colon here\r\n\r\n", then_close=False), "not HTTP"),
    "no length": (raw(OK + b"Content-Length: minus one\r\n\r\n", then_close=False), "not HTTP"),
    "no chunk": (raw(OK + b"Transfer-Encoding: chunked\r\n\r\nhello\r\n", then_close=False), "not HTTP"),
    "a long header": (raw(OK + b"X-Long: " + b"x" * 20_000 + b"\r\n\r\n", then_close=False), "not HTTP"),
    "no exchange": (reply(200, b"{}", {"Mimi-Exchange": ""}), "another exchange"),
    "another exchange": (reply(200, b"{}", {"Mimi-Exchange": "0" * 16}), "another exchange"),
    "a verdict of another exchange": (reply(410, VERDICT, {**PROBLEM, "Mimi-Exchange": "another"}), "another exchange"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_reply_outside_the_contract_is_refused_once_and_its_connection_closed(
    case: str, transport_to: To
) -> None:
    answer, message = REFUSED[case]
    async with ScriptedServer(answer) as server, transport_to(server.url) as transport:
        with pytest.raises(ProtocolError, match=message):
            await transport.send(LOG_IN)
        assert len(server.asked) == 1
        await server.was_left()


async def test_a_request_sets_the_limit_of_its_reply(transport_to: To) -> None:
    async with ScriptedServer(reply(200, b"123456")) as server, transport_to(server.url) as transport:
        with pytest.raises(ProtocolError, match="more than 5 bytes"):
            await transport.send(attrs.evolve(LOG_IN, limit=5))


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


async def test_garbage_after_the_head_ends_an_attempt_at_its_limit(transport_to: To, naps: Naps, clock: Clock) -> None:
    """aiohttp closes the connection without an exception: the reader would wait until its limit."""

    async def answer(asked: Asked) -> None:
        await asked.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await settle()
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


async def test_a_connection_with_the_reply_of_another_exchange_is_closed(transport_to: To) -> None:
    """Otherwise each later call on it would get the reply of the call before."""
    wrong = reply(200, b"{}", {"Mimi-Exchange": "another"})
    async with ScriptedServer(wrong, reply()) as server, transport_to(server.url) as transport:
        with pytest.raises(ProtocolError):
            await transport.send(LOG_IN)
        await transport.send(LOG_IN)
    assert [asked.connection for asked in server.asked] == [1, 2]


async def test_a_304_answers_a_request_that_names_a_version_and_keeps_the_connection(transport_to: To) -> None:
    known = wire.get_user(AccessToken("t"), if_none_match='"v1"')
    async with (
        ScriptedServer(reply(304, b"", {"ETag": '"v1"'}), reply()) as server,
        transport_to(server.url) as transport,
    ):
        answer = await transport.send(known)
        assert (answer.status, answer.body, answer.etag) == (304, b"", '"v1"')
        await transport.send(LOG_IN)
    assert server.connections == 1
    assert server.asked[0].headers["if-none-match"] == '"v1"'


async def test_a_304_of_another_exchange_is_refused(transport_to: To) -> None:
    known = wire.get_user(AccessToken("t"), if_none_match='"v1"')
    async with (
        ScriptedServer(reply(304, b"", {"Mimi-Exchange": "another"})) as server,
        transport_to(server.url) as transport,
    ):
        with pytest.raises(ProtocolError, match="another exchange"):
            await transport.send(known)


async def test_a_change_names_the_version_that_it_expects(transport_to: To) -> None:
    async with ScriptedServer(reply()) as server, transport_to(server.url) as transport:
        await transport.send(wire.patch_user({}, AccessToken("t"), if_match='"v1"'))
    assert server.asked[0].headers["if-match"] == '"v1"'


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
