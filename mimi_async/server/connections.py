"""The connections of the server: how many, how slow, and what is said to a client that does not speak HTTP.

aiohttp.web has no deadline for the header of a request and no cap on connections, answers what it can't parse in plain
text, and logs the exception, which quotes the request: a secret, where the flaw is in the Authorization field.
"""

import asyncio
import logging
from typing import Any

from aiohttp import web

from ..errors import described
from ..wire.service import write_problem
from .answers import CLOSE, fresh_request_id, problem_response
from .settings import Settings

_log = logging.getLogger(__name__)


class ConnectionServer(web.Server):
    """Makes a `Connection` for each client.

    Args:
        handler: Answers a request.
        settings: The limits.
    """

    def __init__(self, handler: Any, settings: Settings) -> None:
        super().__init__(handler)
        self.settings = settings
        self.open_connections = 0

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return Connection(self, self.settings, loop=self._loop)


class Connection(web.RequestHandler):
    """One connection with a client."""

    __slots__ = ("_counted", "_has_begun", "_header_deadline", "_server", "_settings")

    def __init__(self, server: ConnectionServer, settings: Settings, *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=settings.keep_alive_seconds,
            lingering_time=min(2.0, settings.body_seconds),
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type] # None is how the runners of aiohttp switch it off
            logger=_log,
        )
        self._server = server
        self._settings = settings
        self._counted = False
        self._has_begun = False
        self._header_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many already."""
        super().connection_made(transport)
        if self._server.open_connections >= self._settings.most_connections:
            self._say_and_close(503, "Service Unavailable", "too many connections", "Retry-After: 1\r\n")
            return
        self._server.open_connections += 1
        self._counted = True
        self._begin_header()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        if self._counted:
            self._server.open_connections -= 1
            self._counted = False
        self._end_header()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Watch for a header that has begun and does not end."""
        try:
            super().data_received(data)
        except Exception as error:  # noqa: BLE001 - asyncio would log it, with the request that it quotes
            _log.error("a request could not be parsed: %s", described(error))
            self._say_and_close(400, "Bad Request", "this is no request of HTTP/1.1")
            return
        idle = self._waiter is not None and not self._waiter.done()
        if not idle:
            self._end_header()
        elif data:
            self._has_begun = True
            if self._header_deadline is None:
                self._begin_header()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what aiohttp could not parse. Neither it nor the exception is logged: both quote the request."""
        del message
        kind = "nothing" if exc is None else described(exc)
        _log.info("a request that is no HTTP (%s) was answered by %d", kind, status)
        if request.writer.output_size > 0:
            msg = "a part of the answer has been sent already"
            raise ConnectionError(msg)
        request_id = fresh_request_id()
        response = problem_response(status, detail="this is no request of HTTP/1.1", request_id=request_id)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log what went wrong within aiohttp without its text."""
        error = kw.get("exc_info")
        _log.error("%s: %s", args[0] if args else "", described(error) if isinstance(error, BaseException) else "")

    def _begin_header(self) -> None:
        self._header_deadline = self._loop.call_later(self._settings.header_seconds, self._header_is_late)

    def _end_header(self) -> None:
        self._has_begun = False
        if self._header_deadline is not None:
            self._header_deadline.cancel()
            self._header_deadline = None

    def _header_is_late(self) -> None:
        self._header_deadline = None
        if self._has_begun:
            self._say_and_close(408, "Request Timeout", "the header of the request took too long")
        else:
            self.force_close()

    def _say_and_close(self, status: int, reason: str, detail: str, field: str = "") -> None:
        """Answer without a request, and hang up."""
        if self.transport is not None and not self.transport.is_closing():
            request_id = fresh_request_id()
            body = write_problem(status, reason, detail=detail, request_id=request_id)
            head = f"HTTP/1.1 {status} {reason}\r\n{CLOSE}X-Request-ID: {request_id}\r\n{field}"
            self.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.force_close()
