"""The connections of the server: their number, their time limits, and requests that are not valid HTTP.

aiohttp.web has no time limit for the header of a request and no limit of connections, responds to an invalid request in
plain text, and logs an exception that quotes the request, with its Authorization field.
"""

import asyncio
import logging
from typing import Any

from aiohttp import web

from ...errors import describe_exception
from ...wire.server_side import write_problem
from ..settings import Settings
from .responses import CLOSE, CLOSE_FIELDS, ProblemError, new_request_id, problem_response

_log = logging.getLogger(__name__)


class ConnectionServer(web.Server):
    """Create a `Connection` for each client.

    Args:
        handler: Handles a request.
        settings: The limits of connections and their time limits.
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

    __slots__ = ("_counted", "_header_timer", "_is_reading_header", "_server", "_settings")

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
        self._is_reading_header = False
        self._header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the connection, or refuse it with a 503 if there are too many."""
        super().connection_made(transport)
        if self._server.open_connections >= self._settings.max_connections:
            self._respond_and_close(503, "Service Unavailable", "too many connections", "Retry-After: 1\r\n")
            return
        self._server.open_connections += 1
        self._counted = True
        self._start_header_timeout()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count the connection as closed."""
        if self._counted:
            self._server.open_connections -= 1
            self._counted = False
        self._stop_header_timeout()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data, and start or stop the time limit of the header."""
        try:
            super().data_received(data)
        except Exception as error:  # noqa: BLE001 - asyncio would log the exception, which quotes the request
            _log.error("a request could not be parsed: %s", describe_exception(error))
            self._respond_and_close(400, "Bad Request", "the request is not valid HTTP/1.1")
            return
        is_idle = self._waiter is not None and not self._waiter.done()
        if not is_idle:
            self._stop_header_timeout()
        elif data:
            self._is_reading_header = True
            if self._header_timer is None:
                self._start_header_timeout()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Respond to a request that aiohttp could not parse. The exception is not logged: it quotes the request."""
        del message
        reason = "no exception" if exc is None else describe_exception(exc)
        _log.info("the request is not valid HTTP (%s): %d", reason, status)
        if request.writer.output_size > 0:
            msg = "a part of the response was already sent"
            raise ConnectionError(msg)
        return problem_response(ProblemError(status, "the request is not valid HTTP/1.1", CLOSE), new_request_id())

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log an exception of aiohttp without its text."""
        error = kw.get("exc_info")
        _log.error("%s: %s", args[0], describe_exception(error) if isinstance(error, BaseException) else "")

    def _start_header_timeout(self) -> None:
        self._header_timer = self._loop.call_later(self._settings.header_seconds, self._on_header_timeout)

    def _stop_header_timeout(self) -> None:
        self._is_reading_header = False
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _on_header_timeout(self) -> None:
        self._header_timer = None
        if self._is_reading_header:
            self._respond_and_close(408, "Request Timeout", "the header of the request took too long")
        else:
            self.force_close()

    def _respond_and_close(self, status: int, reason: str, detail: str, field: str = "") -> None:
        """Write a problem without a request, and close the connection."""
        if self.transport is not None and not self.transport.is_closing():
            request_id = new_request_id()
            body = write_problem(status, reason, detail=detail, request_id=request_id)
            head = f"HTTP/1.1 {status} {reason}\r\n{CLOSE_FIELDS}X-Request-ID: {request_id}\r\n{field}"
            self.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.force_close()
