"""Fault injection: a wrapper of the server's handler that delays, drops, rewrites or fails requests."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import attrs
from aiohttp import web

from ..server.api.app import Handler
from ..server.api.responses import ProblemError, echo_ids, problem_response, read_request_id


@attrs.define(eq=False)
class RecordedRequest:
    """A request that the server received.

    Attributes:
        method: The HTTP method.
        path: The path, without the query.
        status: The status of the response; None while the request is processed, and for a dropped reply.
    """

    method: str
    path: str
    status: int | None = None


@attrs.frozen(kw_only=True)
class SentReply:
    """A reply before it is sent, for `rewrite` to change, as by `attrs.evolve(reply, status=500)`.

    Attributes:
        status: The HTTP status.
        headers: The header fields that the server set. Content-Length follows the body.
        body: The bytes of the body, which may hold secrets.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes = attrs.field(default=b"", repr=False)


class HeldRequests:
    """Requests that wait before they are processed, or before the reply is sent.

    Attributes:
        arrived: Set when the first request waits.
        count: The number of requests that have waited.
    """

    def __init__(self) -> None:
        self.arrived: asyncio.Event = asyncio.Event()
        self.count: int = 0
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let the waiting requests continue, and later requests pass."""
        self._released.set()

    async def wait(self) -> None:
        """Wait until `release`."""
        self.count += 1
        self.arrived.set()
        await self._released.wait()


Fault = Callable[[web.BaseRequest, Handler], Awaitable[web.StreamResponse]]
"""Returns the response to a request. It calls the handler if the request is to be processed."""


@attrs.define(eq=False)
class _PlannedFault:
    path: str
    method: str | None
    times: int | None
    fault: Fault

    def accepts(self, request: web.BaseRequest) -> bool:
        """Return whether this fault applies to the request, and count the request if so."""
        if self.times == 0 or self.path not in ("*", request.path) or self.method not in (None, request.method):
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Faults:
    """The planned faults. The faults of a request apply in the order in which they were planned.

    A fault that responds without the handler leaves the following faults for the next request.
    """

    def __init__(self) -> None:
        self.requests: deque[RecordedRequest] = deque(maxlen=100_000)
        self._plan: list[_PlannedFault] = []

    def plan(self, path: str, method: str | None, times: int | None, fault: Fault) -> Callable[[], None]:
        """Plan a fault for `times` requests (None: all) of a path ("*": any). Return a function that removes it."""
        planned = _PlannedFault(path, method, times, fault)
        self._plan.append(planned)
        return lambda: self._plan.remove(planned) if planned in self._plan else None

    def clear_faults(self) -> None:
        """Remove all planned faults."""
        self._plan.clear()

    def wrap(self, handler: Handler) -> Handler:
        """Wrap the handler of a server: record each request, and apply the faults."""

        async def record(request: web.BaseRequest) -> web.StreamResponse:
            recorded = RecordedRequest(request.method, request.path)
            self.requests.append(recorded)
            response = await _apply_faults(tuple(self._plan), handler)(request)
            if request.transport is not None and not request.transport.is_closing():
                recorded.status = response.status
            return response

        return record


def _apply_faults(plan: "tuple[_PlannedFault, ...]", handler: Handler) -> Handler:
    """Return a handler that applies the first fault that accepts the request, and then the following faults."""

    async def apply(request: web.BaseRequest) -> web.StreamResponse:
        for index, planned in enumerate(plan):
            if planned.accepts(request):
                return await planned.fault(request, _apply_faults(plan[index + 1 :], handler))
        return await handler(request)

    return apply


def fail(status: int, headers: Mapping[str, str], problem: str | None) -> Fault:
    """Return a fault that responds without processing."""

    async def respond(request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
        del handler
        request_id = read_request_id(request)
        response = problem_response(ProblemError(problem or status, fields=headers), request_id)
        echo_ids(request, response, request_id)
        return response

    return respond


def drop(*, processed: bool) -> Fault:
    """Return a fault that closes the connection without a reply."""

    async def close(request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
        response = await handler(request) if processed else web.Response(status=500)
        if request.transport is not None:
            request.transport.abort()
        return response

    return close


def delay(seconds: float) -> Fault:
    """Return a fault that waits before processing."""

    async def wait(request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await handler(request)

    return wait


def rewrite(change: Callable[[SentReply], SentReply]) -> Fault:
    """Return a fault that processes the request, and changes the reply."""

    async def process(request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
        reply = change(SentReply(status=response.status, headers=dict(response.headers), body=body))
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)

    return process


@asynccontextmanager
async def hold(faults: Faults, path: str, method: str | None, *, processed: bool) -> AsyncIterator[HeldRequests]:
    """Hold requests, before or after they are processed, until the context is left."""
    held = HeldRequests()

    async def wait(request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
        if not processed:
            await held.wait()
        response = await handler(request)
        if processed:
            await held.wait()
        return response

    remove = faults.plan(path, method, None, wait)
    try:
        yield held
    finally:
        remove()
        held.release()
