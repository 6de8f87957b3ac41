"""Creations at the server, with a client of minimal cost."""

import asyncio
import contextlib
import re
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

from .firebase import SIGN_UP, emulator
from .harness import Batch, Curve, Line, Scale, SkippedError, alternate
from .restores import BASIC
from .server import process, reference_server

_CONNECTIONS = 64
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

BuildRequest = Callable[[str], bytes]
"""Return one HTTP request to a host."""


async def creations(scale: Scale) -> AsyncIterator[Line]:
    """Creations per second, 64 concurrent, each durable before the reply."""
    theirs = process(sys.executable, "-m", "benchmarks.parse_and_answer")
    yield await _compare(scale, theirs, build_creation, "aiohttp that parses and answers", 0.3, 0.5)


async def firebase(scale: Scale) -> AsyncIterator[Line]:
    """The same against the sign-ups of the Firebase Auth emulator, which keeps them in memory."""
    theirs = emulator(may_install=scale.seconds > 0)
    yield await _compare(scale, theirs, _build_sign_up, "Firebase Auth emulator, in memory", 4, 6)


async def _compare(
    scale: Scale,
    peer: contextlib.AbstractAsyncContextManager[str],
    build: BuildRequest,
    against: str,
    goal: float,
    moonshot: float,
) -> Line:
    times = scale.of(5_000, least=_CONNECTIONS)
    async with contextlib.AsyncExitStack() as stack:
        theirs_at = await stack.enter_async_context(peer)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours_at = await stack.enter_async_context(reference_server(folder))
        ours, theirs = await alternate(
            partial(create, ours_at, times, build_creation), partial(create, theirs_at, times, build), scale
        )
    return Line(
        what="creations/s of the server, durable, 64 at once",
        against=against,
        ours=ours,
        theirs=theirs,
        goal=goal,
        moonshot=moonshot,
        kind="rate",
    )


async def processes(scale: Scale) -> AsyncIterator[Curve]:
    """Creations per second of the server with one and two processes, on SQLite and on PostgreSQL."""
    try:
        from tests.postgres_server import Postgres
    except ModuleNotFoundError as missing:
        msg = f"{missing.name} is missing: make setup"
        raise SkippedError(msg) from None

    times = scale.of(5_000, least=_CONNECTIONS)
    rates: dict[str, dict[int, list[float]]] = {"SQLite": {}, "PostgreSQL": {}}
    with Postgres({"fsync": "on"}) as postgres:
        for workers in (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                async with (
                    reference_server(Path(folder), workers=workers) as one,
                    reference_server(Path(folder), workers=workers, postgres=postgres.make_database()) as other,
                ):
                    measures = [partial(create, url, times, build_creation) for url in (one, other)]
                    measured = await alternate(measures[0], measures[1], scale.for_a_curve())
            for database, seconds in zip(rates, measured, strict=True):
                rates[database][workers] = [1 / value for value in seconds]
    yield Curve(
        name="server-processes",
        title="Creations at the server",
        x="server processes",
        y="durable creations per second, 64 at once",
        series=rates,
    )


async def create(url: str, times: int, build: BuildRequest) -> Batch:
    """Send `times` creations over 64 connections; each is answered by a success."""
    loop = asyncio.get_running_loop()
    host, port = url.removeprefix("http://").split(":")
    requests = iter([build(host) for _ in range(times)])
    start = time.perf_counter()
    clients = [_Client(requests, loop.create_future()) for _ in range(_CONNECTIONS)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, host, int(port))  # type: ignore[misc]  # mypy can't infer it
    await asyncio.gather(*(client.done for client in clients))
    return time.perf_counter() - start, times


def build_creation(host: str) -> bytes:
    """Return a creation of the contract, with a new create key."""
    return (
        f"POST /v1/anonymous-users HTTP/1.1\r\nHost: {host}\r\nAuthorization: {BASIC}\r\n"
        f"Idempotency-Key: {secrets.token_hex(32)}\r\nMimi-Exchange: {secrets.token_hex(8)}\r\n"
        "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    ).encode()


def _build_sign_up(host: str) -> bytes:
    # What the Firebase SDK sends for an anonymous sign-in, without its optional headers.
    body = '{"returnSecureToken":true}'
    return (
        f"POST {SIGN_UP} HTTP/1.1\r\nHost: {host}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _is_complete(head: bytes, body: bytes) -> bool:
    length = _LENGTH.search(head)
    return len(body) >= int(length[1]) if length else body.endswith(b"\r\n0\r\n\r\n")  # the last chunk


class _Client(asyncio.Protocol):
    """One connection: send a request, find the end of the reply, send the next request."""

    def __init__(self, requests: Iterator[bytes], done: "asyncio.Future[None]") -> None:
        self.done = done
        self._requests = requests
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or not _is_complete(head, body):
            return
        if not head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 201 ")):
            self.done.set_exception(AssertionError(head.partition(b"\r\n")[0]))
            return
        self._received = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server hung up"))

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is not None:
            self._transport.write(request)
        elif not self.done.done():
            self.done.set_result(None)
            self._transport.close()
