"""Clients that are slow, too many, or that speak something else, over bare sockets."""

import asyncio
import logging
from contextlib import suppress

import pytest
from aiohttp import web

from ..sockets import ALIVE, CREATE, authorization, connection, is_alive, is_problem, send, serving

LAST = ALIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


async def test_a_header_that_drips_is_cut_off() -> None:
    async with serving(header_seconds=0.4) as server, connection(server) as (reader, writer):
        answer = asyncio.create_task(reader.read())
        for drip in b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 1000:
            writer.write(bytes([drip]))
            await asyncio.wait([answer], timeout=0.02)
            if answer.done():
                break
        with suppress(ConnectionResetError):  # a drip that crosses the answer on its way resets the connection
            assert is_problem(await answer, 408)
        assert answer.done()
        assert (await send(server, LAST)).startswith(b"HTTP/1.1 200")


async def test_a_second_header_that_drips_is_cut_off_too() -> None:
    async with serving(header_seconds=0.3) as server, connection(server) as streams:
        await is_alive(streams)
        streams[1].write(b"GET /healthz HT")
        assert is_problem(await streams[0].read(), 408)


async def test_an_idle_connection_outlives_the_deadline_of_headers() -> None:
    async with serving(header_seconds=0.1) as server, connection(server) as streams:
        await is_alive(streams)
        silence = asyncio.create_task(streams[0].read(1))
        await asyncio.wait([silence], timeout=0.3)
        assert not silence.done()
        silence.cancel()
        await asyncio.wait([silence])
        await is_alive(streams)


async def test_a_connection_that_says_nothing_is_closed_without_a_word() -> None:
    async with serving(header_seconds=0.1) as server:
        assert await send(server) == b""


async def test_an_idle_connection_is_closed_in_the_end() -> None:
    async with serving(keep_alive_seconds=0.1) as server:
        assert (await send(server, ALIVE)).endswith(b'{"status":"alive"}')


async def test_a_body_that_drips_is_cut_off() -> None:
    async with serving(body_seconds=0.2) as server:
        head = CREATE + authorization(server) + b"Content-Length: 100\r\n\r\n"
        assert is_problem(await send(server, head, b"{"), 408)


async def test_a_long_body_is_not_waited_for() -> None:
    async with serving(body_seconds=0.2) as server:
        head = CREATE + authorization(server) + b"Content-Length: 1000000\r\n\r\n"
        assert is_problem(await send(server, head), 413)


async def test_a_client_that_waits_for_100_continue_gets_it() -> None:
    async with serving() as server, connection(server) as (reader, writer):
        writer.write(CREATE + authorization(server) + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        assert (await reader.readline()).startswith(b"HTTP/1.1 201")


async def test_beyond_the_cap_a_connection_is_answered_by_503_and_later_let_in() -> None:
    async with serving(max_connections=2) as server, connection(server) as first, connection(server) as second:
        for streams in (first, second):
            await is_alive(streams)
        answer = await send(server)
        assert is_problem(answer, 503)
        assert b"Retry-After: 1\r\n" in answer
        await is_alive(first)
        first[1].write(LAST)
        await first[0].read()
        assert (await send(server, LAST)).startswith(b"HTTP/1.1 200")


NOISE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"BREW /v1/user HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    b"GET / HTTP/1.1\r\nAuthorization: Basic hunter2\x00\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: " + b"x" * 10_000 + b"\r\n\r\n",
    b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
]


@pytest.mark.parametrize("noise", NOISE, ids=range(len(NOISE)))
async def test_a_request_that_is_not_http_is_a_400_and_is_not_logged(
    noise: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving() as server:
        assert is_problem(await send(server, noise), 400)
    assert "hunter2" not in caplog.text
    assert "not valid HTTP" in caplog.text


async def test_an_exception_of_the_parser_is_logged_without_the_request(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_: web.RequestHandler, data: bytes) -> None:
        raise LookupError(data)

    monkeypatch.setattr(web.RequestHandler, "data_received", breaks)
    async with serving() as server:
        assert is_problem(await send(server, b"GET /hunter2 HTTP/1.1\r\n\r\n"), 400)
    assert "LookupError in breaks" in caplog.text
    assert "hunter2" not in caplog.text


async def test_a_broken_chunk_is_a_400() -> None:
    async with serving() as server:
        head = CREATE + authorization(server) + b"Transfer-Encoding: chunked\r\n\r\n"
        assert is_problem(await send(server, head, b"zz\r\n"), 400)


async def test_a_client_that_leaves_in_the_middle_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as server:
        for part in (CREATE, CREATE + authorization(server) + b"Content-Length: 5\r\n\r\n{"):
            async with connection(server) as (reader, writer):
                writer.write(part)
                writer.write_eof()
                await reader.read()
        assert (await send(server, LAST)).startswith(b"HTTP/1.1 200")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
