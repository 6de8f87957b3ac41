"""What can be made to go wrong between a client and the server, on purpose: a wrap around the server's handler."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

import attrs
from aiohttp import web

from ..server.answers import echo, problem_response, request_id_of
from ..server.app import Handler
from ..wire.contract import PROBLEMS


@attrs.define(eq=False)
class RecordedRequest:
    """A request that arrived.

    Attributes:
        method: The HTTP method.
        path: The path, without the query.
        status: What was answered; None while it is under way, and where the reply was dropped.
    """

    method: str
    path: str
    status: int | None = None


@attrs.frozen(kw_only=True)
class SentReply:
    """A reply on its way to the client, as `rewrite` may change it: `attrs.evolve(reply, status=500)`.

    Attributes:
        status: The HTTP status.
        headers: The fields that the server set; Content-Length follows the body.
        body: The bytes. They may hold secrets.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes = attrs.field(default=b"", repr=False)


class Held:
    """Requests that wait between their arrival and their handling, or between their handling and the reply.

    Attributes:
        arrived: Set when the first one waits.
        count: How many have waited.
    """

    def __init__(self) -> None:
        self.arrived: asyncio.Event = asyncio.Event()
        self.count: int = 0
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let them go on, and those that come later go through."""
        self._released.set()

    async def wait(self) -> None:
        """Wait for the release."""
        self.count += 1
        self.arrived.set()
        await self._released.wait()


class Fault(Protocol):
    """Something that happens to a request; it calls `handler` if the request is to be processed."""

    async def __call__(self, request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
        """Answer the request."""


@attrs.define(eq=False)
class _Planned:
    path: str
    method: str | None
    times: int | None
    fault: Fault

    def takes(self, request: web.BaseRequest) -> bool:
        """Tell whether this request is one of those that were meant, and count it."""
        if self.times == 0 or self.path not in ("*", request.path) or self.method not in (None, request.method):
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Faults:
    """The plan of what goes wrong. A request meets the faults that are meant for it in the order of their planning.

    One that answers by itself uses up none of those behind it: they are for the next request.
    """

    def __init__(self) -> None:
        self.requests: deque[RecordedRequest] = deque(maxlen=100_000)
        self._plan: list[_Planned] = []

    def plan(self, path: str, method: str | None, times: int | None, fault: Fault) -> Callable[[], None]:
        """Add a fault for the next so many requests, None for all, of a path, "*" for any; return how to undo it."""
        planned = _Planned(path, method, times, fault)
        self._plan.append(planned)
        return lambda: self._plan.remove(planned) if planned in self._plan else None

    def heal(self) -> None:
        """Forget what was planned."""
        self._plan.clear()

    def around(self, handler: Handler) -> Handler:
        """Wrap the handler of a server."""

        async def record(request: web.BaseRequest) -> web.StreamResponse:
            recorded = RecordedRequest(request.method, request.path)
            self.requests.append(recorded)
            response = await _met(tuple(self._plan), handler)(request)
            if request.transport is not None and not request.transport.is_closing():
                recorded.status = response.status
            return response

        return record


def _met(plan: "tuple[_Planned, ...]", handler: Handler) -> Handler:
    """Return a handler that lets a request meet the first fault that takes it, and the others behind that one."""

    async def meet(request: web.BaseRequest) -> web.StreamResponse:
        for place, planned in enumerate(plan):
            if planned.takes(request):
                return await planned.fault(request, _met(plan[place + 1 :], handler))
        return await handler(request)

    return meet


def failing(status: int, headers: Mapping[str, str], problem: str | None) -> Fault:
    """Answer without processing."""
    status = PROBLEMS[problem][0] if problem else status

    async def fail(request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
        del handler
        request_id = request_id_of(request)
        response = problem_response(status, request_id=request_id, name=problem, fields=headers)
        echo(request, response, request_id)
        return response

    return fail


async def dropping_reply(request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
    """Process, and cut the connection without a reply."""
    response = await handler(request)
    if request.transport is not None:
        request.transport.abort()
    return response


async def dropping_request(request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
    """Cut the connection without having processed anything."""
    del handler
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def delaying(seconds: float) -> Fault:
    """Wait before processing."""

    async def delay(request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await handler(request)

    return delay


def rewriting(change: Callable[[SentReply], SentReply]) -> Fault:
    """Process, and change the reply."""

    async def rewrite(request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
        reply = change(SentReply(status=response.status, headers=dict(response.headers), body=body))
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)

    return rewrite


@asynccontextmanager
async def holding(faults: Faults, path: str, method: str | None, *, processed: bool) -> AsyncIterator[Held]:
    """Hold requests, before or after they are processed, while the context lasts."""
    held = Held()

    async def hold(request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
        if not processed:
            await held.wait()
            return await handler(request)
        response = await handler(request)
        await held.wait()
        return response

    take_back = faults.plan(path, method, None, hold)
    try:
        yield held
    finally:
        take_back()
        held.release()
