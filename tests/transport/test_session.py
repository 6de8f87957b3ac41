"""The life of a transport, and what it uses of an injected session: the connector."""

import asyncio

import aiohttp
import attrs
import pytest

from mimi_async.errors import ConfigurationError, NotStartedError, ServerTimeoutError
from mimi_async.transport import Transport

from ..doubles import settle
from .doubles import CREDENTIALS, LOG_IN, Clock, Naps, To
from .script import ScriptedServer, reply, silence


async def test_sends_nothing_before_it_was_entered(transport_to: To) -> None:
    async with ScriptedServer(reply()) as server:
        with pytest.raises(NotStartedError, match="enter it first, with `async with`"):
            await transport_to(server.url).send(LOG_IN)
    assert server.connections == 0


async def test_sends_nothing_after_it_was_left(transport_to: To) -> None:
    async with ScriptedServer(reply()) as server:
        async with transport_to(server.url) as transport:
            await transport.send(LOG_IN)
        with pytest.raises(NotStartedError, match="was left"):
            await transport.send(LOG_IN)
        await server.was_left()


async def test_is_entered_once(transport_to: To) -> None:
    transport = transport_to("http://127.0.0.1")
    async with transport:
        with pytest.raises(ConfigurationError, match="entered once"):
            await transport.__aenter__()
    with pytest.raises(ConfigurationError, match="entered once"):
        await transport.__aenter__()


async def test_leaving_ends_the_calls_that_are_under_way(transport_to: To) -> None:
    async with ScriptedServer(silence) as server:
        async with transport_to(server.url) as transport:
            call = asyncio.create_task(transport.send(LOG_IN))
            await server.was_asked(1)
        with pytest.raises(NotStartedError):
            await call


async def test_belongs_to_one_event_loop(transport_to: To) -> None:
    async with transport_to("http://127.0.0.1") as transport:

        def elsewhere() -> None:
            asyncio.run(transport.send(LOG_IN))

        with pytest.raises(ConfigurationError, match="another event loop"):
            await asyncio.to_thread(elsewhere)


async def test_keeps_no_cookies(transport_to: To) -> None:
    answer = reply(200, b"{}", {"Set-Cookie": "session=secret; Path=/"})
    async with ScriptedServer(answer) as server, transport_to(server.url) as transport:
        await transport.send(LOG_IN)
        await transport.send(LOG_IN)
    assert "cookie" not in server.asked[1].headers


async def test_reads_no_environment(transport_to: To, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ScriptedServer(reply()) as server, ScriptedServer(reply()) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with transport_to(server.url) as transport:
            await transport.send(LOG_IN)
    assert (len(server.asked), proxy.connections) == (1, 0)


async def test_takes_only_the_connector_of_an_injected_session() -> None:
    answer = reply(200, b"{}", {"Set-Cookie": "session=secret; Path=/"})
    async with (
        ScriptedServer(answer) as server,
        aiohttp.ClientSession(
            cookies={"theirs": "1"},
            headers={"X-Theirs": "1", "Authorization": "theirs"},
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            raise_for_status=True,
        ) as session,
        Transport(server.url, CREDENTIALS, session=session) as transport,
    ):
        await transport.send(LOG_IN)
        await transport.send(LOG_IN)
        assert [cookie.key for cookie in session.cookie_jar] == ["theirs"]
    for asked in server.asked:
        assert asked.headers.keys().isdisjoint({"cookie", "x-theirs"})
        assert asked.headers["authorization"].startswith("Basic ")
    assert server.connections == 1


async def test_never_closes_an_injected_session() -> None:
    async with ScriptedServer(reply()) as server, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with Transport(server.url, CREDENTIALS, session=session) as transport:
                await transport.send(LOG_IN)
            assert not session.closed
        async with session.get(server.url, headers={"Mimi-Exchange": "1"}) as response:
            assert response.status == 200
    assert server.connections == 1


@pytest.mark.parametrize("what", ["session", "connector"])
async def test_refuses_a_session_that_is_closed(what: str) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector()) as session:
        await (session if what == "session" or session.connector is None else session.connector).close()
        with pytest.raises(ConfigurationError, match="is closed: keep it open"):
            await Transport("https://identity.example", CREDENTIALS, session=session).__aenter__()


async def test_says_that_the_injected_session_was_closed() -> None:
    async with (
        ScriptedServer(reply()) as server,
        aiohttp.ClientSession() as session,
        Transport(server.url, CREDENTIALS, session=session) as transport,
    ):
        await session.close()
        with pytest.raises(ConfigurationError, match="was closed"):
            await transport.send(LOG_IN)


async def test_refuses_a_session_of_another_event_loop() -> None:
    async def enter(session: aiohttp.ClientSession) -> None:
        await Transport("https://identity.example", CREDENTIALS, session=session).__aenter__()

    async with aiohttp.ClientSession() as session:
        with pytest.raises(ConfigurationError, match="belongs to another event loop"):
            await asyncio.to_thread(lambda: asyncio.run(enter(session)))


@pytest.mark.parametrize("limits", [{"limit": 2}, {"limit_per_host": 2}, {"limit": 9, "limit_per_host": 2}])
async def test_the_wait_for_the_pool_is_not_an_attempts_time(limits: dict[str, int], clock: Clock, naps: Naps) -> None:
    connector = aiohttp.TCPConnector(**limits)  # type: ignore[arg-type]
    async with (
        ScriptedServer(silence, silence, reply()) as server,
        aiohttp.ClientSession(connector=connector) as session,
        Transport(server.url, CREDENTIALS, session=session, sleep=naps.sleep) as transport,
    ):
        calls = [asyncio.create_task(transport.send(LOG_IN)) for _ in range(3)]
        await server.was_asked(2)
        clock.advance(9)
        await settle()
        assert len(server.asked) == 2
        clock.advance(1.1)
        assert [reply.status for reply in await asyncio.gather(*calls)] == [200] * 3
    assert len(naps.taken) == 2


async def test_the_wait_for_the_pool_ends_at_the_deadline(clock: Clock) -> None:
    async with (
        ScriptedServer(silence) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session,
        Transport(server.url, CREDENTIALS, session=session) as transport,
    ):
        first = asyncio.create_task(transport.send(LOG_IN))
        await server.was_asked(1)
        second = asyncio.create_task(transport.send(attrs.evolve(LOG_IN, deadline=clock() + 5)))
        await asyncio.sleep(0)
        start = clock()
        clock.advance(5.1)
        with pytest.raises(ServerTimeoutError, match="before its request could be sent"):
            await second
        assert clock() - start < 6
        first.cancel()
        await asyncio.wait([first])
    assert len(server.asked) == 1


async def test_a_pool_without_a_limit_sends_all_requests_at_once() -> None:
    async with (
        ScriptedServer(silence) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        Transport(server.url, CREDENTIALS, session=session) as transport,
    ):
        calls = [asyncio.create_task(transport.send(LOG_IN)) for _ in range(150)]
        await server.was_asked(150)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
