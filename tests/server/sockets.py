"""Bare connections to a server, for clients that no library would write."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp

from mimi_async.testing import IdentityServer, Settings

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

ALIVE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
CREATE = b"POST /v1/anonymous-users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@asynccontextmanager
async def serving(**changes: float) -> AsyncIterator[IdentityServer]:
    settings = Settings(port=0, **{"header_seconds": 30.0, "body_seconds": 30.0, **changes})  # type: ignore[arg-type]
    async with IdentityServer(settings) as server:
        yield server


@asynccontextmanager
async def connection(server: IdentityServer) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def send(server: IdentityServer, *parts: bytes) -> bytes:
    """Send over a new connection, and read until the server hangs up."""
    async with connection(server) as (reader, writer):
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await reader.read()


async def is_alive(streams: Streams) -> None:
    """Have one request answered, and keep the connection."""
    reader, writer = streams
    writer.write(ALIVE)
    assert (await reader.readuntil(b'{"status":"alive"}')).startswith(b"HTTP/1.1 200")


def is_problem(answer: bytes, status: int) -> bool:
    """Return whether it is a problem after which the connection is closed."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return (
        (head.startswith(b"HTTP/1.0 ") or b"\r\nConnection: close" in head)
        and head[8:].startswith(f" {status} ".encode())
        and b"Content-Type: application/problem+json" in head
        and b"X-Request-ID: " in head
        and f'"status":{status}'.encode() in body
    )


def authorization(server: IdentityServer) -> bytes:
    secret = server.credentials.secret.reveal()
    basic = aiohttp.encode_basic_auth(server.credentials.client_id, secret)
    return f"Authorization: {basic}\r\nIdempotency-Key: {'k' * 64}\r\n".encode()
