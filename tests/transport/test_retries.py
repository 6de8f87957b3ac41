"""Three attempts, full jitter, Retry-After, a budget, and never past the deadline."""

import asyncio
import logging

import attrs
import pytest

from mimi_async import wire
from mimi_async.errors import MimiError, ProtocolError, ServerBusyError, ServerTimeoutError, ServerUnreachableError
from mimi_async.secret import AccessToken
from mimi_async.transport import Transport

from ..doubles import settle
from .doubles import CREDENTIALS, GET, LOG_IN, UNSAFE, Clock, Naps, To
from .script import Answer, Asked, ScriptedServer, raw, reply, reset, silence


def busy(status: int = 503, **fields: str) -> Answer:
    return reply(status, b"", {name.replace("_", "-"): value for name, value in fields.items()})


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_tries_three_times_with_full_jitter(status: int, transport_to: To, naps: Naps) -> None:
    async with ScriptedServer(busy(status)) as server, transport_to(server.url) as transport:
        with pytest.raises(ServerBusyError, match=str(status)) as caught:
            await transport.send(LOG_IN)
    assert len(server.asked) == 3
    assert naps.taken == [0.1, 0.2]
    assert caught.value.request_id == server.asked[0].headers["x-request-id"]


@pytest.mark.parametrize("status", [300, 307, 400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 426])
async def test_asks_once_where_a_retry_does_not_help(status: int, transport_to: To, naps: Naps) -> None:
    async with ScriptedServer(reply(status)) as server, transport_to(server.url) as transport:
        try:
            answer = await transport.send(LOG_IN)
        except ProtocolError:
            assert status < 400
        else:
            assert answer.status == status
    assert (len(server.asked), naps.taken) == (1, [])


async def test_stops_at_the_first_reply_that_is_not_a_failure(transport_to: To, naps: Naps) -> None:
    async with ScriptedServer(reset, busy(), reply()) as server, transport_to(server.url) as transport:
        assert (await transport.send(LOG_IN)).status == 200
    assert len(server.asked) == 3


async def test_a_failure_that_is_not_retryable_ends_the_retries(transport_to: To, naps: Naps) -> None:
    async with ScriptedServer(reset, raw(b"garbage\r\n\r\n")) as server, transport_to(server.url) as transport:
        with pytest.raises(ProtocolError):
            await transport.send(LOG_IN)
    assert len(server.asked) == 2


@pytest.mark.parametrize("request_", [GET, wire.erase_user(AccessToken("token-1"))], ids=["GET", "DELETE"])
async def test_aiohttp_repeats_no_request(request_: wire.Request, transport_to: To) -> None:
    async with ScriptedServer(reset) as server, transport_to(server.url) as transport:
        with pytest.raises(ServerUnreachableError):
            await transport.send(request_)
    assert len(server.asked) == 3


@pytest.mark.parametrize("failure", [reset, busy(), raw(b"HTTP/1.1 200 OK\r\nContent-Le")])
async def test_a_post_without_a_key_is_not_repeated_once_its_bytes_left(
    failure: Answer, transport_to: To, naps: Naps
) -> None:
    async with ScriptedServer(failure) as server, transport_to(server.url) as transport:
        with pytest.raises(MimiError):
            await transport.send(UNSAFE)
    assert (len(server.asked), naps.taken) == (1, [])


async def test_a_post_without_a_key_is_repeated_while_the_port_is_closed() -> None:
    async with ScriptedServer(reply()) as server:
        port = server.port
    later: list[ScriptedServer] = []

    async def until_it_listens(_: float) -> None:
        later.append(await ScriptedServer(reply()).__aenter__())
        transport._route = attrs.evolve(transport._route, base=later[0].url)

    async with Transport(f"http://127.0.0.1:{port}", CREDENTIALS, sleep=until_it_listens) as transport:
        assert (await transport.send(UNSAFE)).status == 200
    await later[0].__aexit__()


DATES = {"Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After": "Sun, 06 Nov 1994 08:49:40 GMT"}


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [({"Retry-After": "0"}, 0), ({"Retry-After": "29"}, 29), (DATES, 3), ({"Retry-After": "soon"}, 0.1), ({}, 0.1)],
    ids=["at once", "seconds", "a date", "invalid", "absent"],
)
async def test_waits_as_long_as_the_server_asks_for(
    fields: dict[str, str], seconds: float, transport_to: To, naps: Naps
) -> None:
    async with ScriptedServer(reply(429, b"", fields), reply()) as server, transport_to(server.url) as transport:
        await transport.send(LOG_IN)
    assert naps.taken == [seconds]


@pytest.mark.parametrize(("asks", "own_deadline"), [(31, None), (5, 4)], ids=["thirty seconds", "of the request"])
async def test_ends_at_once_where_the_server_asks_to_wait_past_the_deadline(
    asks: int, own_deadline: int | None, transport_to: To, naps: Naps
) -> None:
    deadline = None if own_deadline is None else asyncio.get_running_loop().time() + own_deadline
    async with ScriptedServer(busy(Retry_After=f"{asks}")) as server, transport_to(server.url) as transport:
        with pytest.raises(ServerBusyError, match=f"asks to wait {asks} s") as caught:
            await transport.send(attrs.evolve(LOG_IN, deadline=deadline))
    assert (len(server.asked), naps.taken, caught.value.retry_after) == (1, [], asks)


async def test_an_attempt_ends_at_the_deadline(transport_to: To, naps: Naps, clock: Clock) -> None:
    async with ScriptedServer(silence) as server, transport_to(server.url) as transport:
        call = asyncio.create_task(transport.send(attrs.evolve(LOG_IN, deadline=clock() + 3)))
        await server.was_asked(1)
        clock.advance(2.5)
        await settle()
        assert not call.done()
        clock.advance(0.6)
        with pytest.raises(ServerTimeoutError):
            await call
    assert (len(server.asked), naps.taken) == (1, [])


async def test_a_call_ends_at_its_deadline(transport_to: To, clock: Clock) -> None:
    async def hesitate(asked: Asked) -> None:
        clock.advance(9)
        await reset(asked)

    async with ScriptedServer(hesitate, hesitate, silence) as server, transport_to(server.url) as transport:
        start = clock()
        call = asyncio.create_task(transport.send(attrs.evolve(LOG_IN, deadline=clock() + 20)))
        await server.was_asked(3)
        clock.advance(1.9)
        await settle()
        assert not call.done()
        clock.advance(0.2)
        with pytest.raises(ServerTimeoutError):
            await call
    assert 20 <= clock() - start < 21


async def test_a_call_without_a_deadline_has_thirty_seconds(transport_to: To, naps: Naps, clock: Clock) -> None:
    async def hesitate(asked: Asked) -> None:
        clock.advance(9)
        await busy(Retry_After="21")(asked)

    async with ScriptedServer(hesitate) as server, transport_to(server.url) as transport:
        with pytest.raises(ServerBusyError):
            await transport.send(LOG_IN)
    assert (len(server.asked), naps.taken) == (1, [])


async def test_a_deadline_that_has_passed_sends_nothing(transport_to: To, naps: Naps) -> None:
    async with ScriptedServer(reply()) as server, transport_to(server.url) as transport:
        deadline = asyncio.get_running_loop().time()
        with pytest.raises(ServerTimeoutError, match="before its request could be sent"):
            await transport.send(attrs.evolve(LOG_IN, deadline=deadline))
    assert (server.asked, naps.taken) == ([], [])


@pytest.mark.parametrize("successes", [0, 20], ids=["at first", "after many successes"])
async def test_an_outage_does_not_double_the_load(successes: int, transport_to: To, naps: Naps) -> None:
    answers = [reply()] * successes + [busy()]
    async with ScriptedServer(*answers) as server, transport_to(server.url) as transport:
        for _ in range(successes):
            await transport.send(LOG_IN)
        outcomes = await asyncio.gather(*(transport.send(LOG_IN) for _ in range(100)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {ServerBusyError}
    assert (len(server.asked), len(naps.taken)) == (successes + 110, 10)


async def test_good_requests_earn_retries_again(transport_to: To, naps: Naps) -> None:
    answers = [busy()] * 16 + [reply()] * 10 + [busy()]
    async with ScriptedServer(*answers) as server, transport_to(server.url) as transport:
        for _ in range(6):
            with pytest.raises(ServerBusyError):
                await transport.send(LOG_IN)
        assert len(naps.taken) == 10
        for _ in range(10):
            await transport.send(LOG_IN)
        with pytest.raises(ServerBusyError):
            await transport.send(LOG_IN)
    assert len(naps.taken) == 11


async def test_logs_a_retry_without_the_text_of_its_cause(transport_to: To, caplog: pytest.LogCaptureFixture) -> None:
    request = wire.list_tests("cursor-1", AccessToken("token-1"))
    with caplog.at_level(logging.DEBUG, "mimi_async"):
        async with ScriptedServer(busy(), reply()) as server, transport_to(server.url) as transport:
            await transport.send(request)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "mimi_async.transport"]
    request_id = server.asked[0].headers["x-request-id"]
    assert line.startswith(f"GET /v1/user/hearing-tests: attempt 1 of request {request_id} failed (ServerBusyError)")
    assert line.endswith(", retry in 0.10 s")
