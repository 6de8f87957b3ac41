"""Creations at the server, driven by a client that costs next to nothing."""

import asyncio
import contextlib
import re
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

from .harness import Line, Scale, in_turn
from .restores import BASIC
from .server import process, reference_server

_CONNECTIONS = 64
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


async def creations(scale: Scale) -> AsyncIterator[Line]:
    """Users that the server makes in a second, 64 at once, each durable before it is told."""
    times = scale.of(5_000, least=_CONNECTIONS)
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours_at = await stack.enter_async_context(reference_server(folder))
        theirs_at = await stack.enter_async_context(process("-m", "benchmarks.parse_and_answer"))
        ours, theirs = await in_turn(partial(_create, ours_at, times), partial(_create, theirs_at, times), scale.pairs)
    yield Line(
        what="creations/s of the server, durable, 64 at once",
        against="aiohttp that parses and answers",
        ours=ours,
        theirs=theirs,
        goal=0.3,
        moonshot=0.5,
        kind="rate",
    )


async def _create(url: str, times: int) -> float:
    """Post so many creations; return the seconds for one."""
    loop = asyncio.get_running_loop()
    host, port = url.removeprefix("http://").split(":")
    requests = iter([_request(host) for _ in range(times)])
    begun = time.perf_counter()
    clients = [_Client(requests, loop.create_future()) for _ in range(_CONNECTIONS)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, host, int(port))  # type: ignore[misc]  # mypy can't infer it
    await asyncio.gather(*(client.done for client in clients))
    return (time.perf_counter() - begun) / times


def _request(host: str) -> bytes:
    return (
        f"POST /v1/anonymous-users HTTP/1.1\r\nHost: {host}\r\nAuthorization: {BASIC}\r\n"
        f"Idempotency-Key: {secrets.token_hex(32)}\r\nMimi-Exchange: {secrets.token_hex(8)}\r\n"
        "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    ).encode()


class _Client(asyncio.Protocol):
    """One connection: sends a request, looks for the end of the answer, sends the next one."""

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
        length = _LENGTH.search(head)
        if not end or length is None or len(body) < int(length[1]):
            return
        if not head.startswith(b"HTTP/1.1 201 "):
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
