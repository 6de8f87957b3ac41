"""A cancel goes through at once, leaves nothing behind, and its connection is never used again."""

import asyncio
import random
from contextlib import suppress

import aiohttp
import pytest

from mimi_async import wire
from mimi_async.errors import ServerTimeoutError
from mimi_async.secret import AccessToken
from mimi_async.transport import Transport

from .doubles import CREDENTIALS, LOG_IN, Clock, Naps, To
from .script import Answer, Asked, ScriptedServer, reply, reset, silence


async def half_a_body(asked: Asked) -> None:
    await asked.say(
        f"HTTP/1.1 200 OK\r\nMimi-Exchange: {asked.headers['mimi-exchange']}\r\nContent-Length: 9\r\n\r\n{{".encode()
    )
    await asked.stay_silent()


async def cancel(call: "asyncio.Task[wire.Reply]") -> bool:
    """Cancel a call; return whether it ended as cancelled in the next passes of the loop."""
    call.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    return call.done() and call.cancelled()


@pytest.mark.parametrize("answer", [silence, half_a_body])
async def test_a_cancel_goes_through_during_an_attempt(answer: Answer, transport_to: To, naps: Naps) -> None:
    async with ScriptedServer(answer, reply()) as server, transport_to(server.url) as transport:
        before = asyncio.all_tasks()
        call = asyncio.create_task(transport.send(LOG_IN))
        await server.was_asked(1)
        await asyncio.sleep(0.01)
        assert await cancel(call)
        left = [task for task in asyncio.all_tasks() - before if "ScriptedServer._serve" not in repr(task)]
        assert left == []
        await server.was_left()
        assert (await transport.send(LOG_IN)).status == 200
    assert [asked.connection for asked in server.asked] == [1, 2]
    assert naps.taken == []


async def test_a_cancel_goes_through_while_it_connects(transport_to: To, naps: Naps) -> None:
    async def keep_waiting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeted.set()
        await reader.read()
        while await reader.read(1):
            pass
        writer.close()

    greeted = asyncio.Event()
    server = await asyncio.start_server(keep_waiting, "127.0.0.1", 0)
    async with server, transport_to(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") as transport:
        call = asyncio.create_task(transport.send(LOG_IN))
        await greeted.wait()
        assert await cancel(call)
    assert naps.taken == []


async def test_a_cancel_goes_through_during_a_wait() -> None:
    async def nap(_: float) -> None:
        napping.set()
        await asyncio.Event().wait()

    napping = asyncio.Event()
    async with ScriptedServer(reset, reply()) as server, Transport(server.url, CREDENTIALS, sleep=nap) as transport:
        call = asyncio.create_task(transport.send(LOG_IN))
        await napping.wait()
        assert await cancel(call)
        assert len(server.asked) == 1
        assert (await transport.send(LOG_IN)).status == 200


async def test_a_cancel_goes_through_during_a_second_attempt(transport_to: To, naps: Naps) -> None:
    async with ScriptedServer(reset, silence) as server, transport_to(server.url) as transport:
        call = asyncio.create_task(transport.send(LOG_IN))
        await server.was_asked(2)
        assert await cancel(call)
    assert (len(server.asked), len(naps.taken)) == (2, 1)


async def test_a_cancel_while_waiting_for_the_pool_lets_the_next_call_send() -> None:
    async with (
        ScriptedServer(silence, reply()) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session,
        Transport(server.url, CREDENTIALS, session=session) as transport,
    ):
        first, second, third = (asyncio.create_task(transport.send(LOG_IN)) for _ in range(3))
        await server.was_asked(1)
        assert await cancel(second)
        assert await cancel(first)
        assert (await third).status == 200
    assert len(server.asked) == 2


async def test_a_cancel_beats_a_timeout_of_the_same_moment(transport_to: To, clock: Clock, naps: Naps) -> None:
    async with ScriptedServer(silence) as server, transport_to(server.url) as transport:
        call = asyncio.create_task(transport.send(LOG_IN))
        await server.was_asked(1)
        clock.advance(10)
        asyncio.get_running_loop().call_soon(call.cancel)
        await asyncio.wait([call])
        assert call.cancelled()
    assert (len(server.asked), naps.taken) == (1, [])


async def test_a_timeout_leaves_the_callers_own_timeout_alone(transport_to: To, clock: Clock, naps: Naps) -> None:
    async with ScriptedServer(silence) as server, transport_to(server.url) as transport:

        async def impatient() -> None:
            async with asyncio.timeout(25):
                await transport.send(LOG_IN)

        call = asyncio.create_task(impatient())
        for attempt in (1, 2):
            await server.was_asked(attempt)
            clock.advance(10)
        await server.was_asked(3)
        clock.advance(5.1)
        with pytest.raises(TimeoutError) as caught:
            await call
    assert not isinstance(caught.value, ServerTimeoutError)
    assert call.cancelling() == 0


async def test_no_answer_reaches_another_caller_however_calls_are_cancelled(transport_to: To) -> None:
    """200 callers over few connections, a server that dawdles, and random cancels."""

    async def echo(asked: Asked) -> None:
        await asyncio.sleep(chance.random() / 500)
        await reply(200, asked.body)(asked)

    async def caller(number: int) -> None:
        body = str(number).encode()
        request = wire.Request(method="PATCH", path="/v1/user", body=body, token=AccessToken("token-1"))
        for _ in range(10):
            call = asyncio.create_task(transport.send(request))
            if chance.random() < 0.3:
                asyncio.get_running_loop().call_later(chance.random() / 200, call.cancel)
            with suppress(asyncio.CancelledError):
                answers.append((number, (await call).body))

    chance = random.Random(7)
    answers: list[tuple[int, bytes]] = []
    async with (
        ScriptedServer(echo) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=8)) as session,
        Transport(server.url, CREDENTIALS, session=session) as transport,
    ):
        await asyncio.gather(*(caller(number) for number in range(200)))
    assert len(answers) > 1000
    assert [answer for answer in answers if str(answer[0]).encode() != answer[1]] == []
