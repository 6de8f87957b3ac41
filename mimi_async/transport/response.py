"""Reading a response of aiohttp, with limits."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final

import aiohttp
from aiohttp.connector import Connection
from multidict import istr

from .. import wire
from ..errors import ProtocolError, ServerBusyError
from .timeouts import Call

_CONTENT_ENCODING: Final = istr("Content-Encoding")
_CONTENT_TYPE: Final = istr("Content-Type")
_DATE: Final = istr("Date")
_ETAG: Final = istr("ETag")
_EXCHANGE: Final = istr(wire.EXCHANGE)
_RETRY_AFTER: Final = istr("Retry-After")


class Response(aiohttp.ClientResponse):
    """A response that keeps its connection: aiohttp returns a connection to the pool once the body is complete."""

    carrier: asyncio.Transport | None = None

    def start(self, connection: Connection) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        """Start to read."""
        self.carrier = connection.transport
        return super().start(connection)

    def __repr__(self) -> str:
        """Show no header: tracebacks may show it."""
        return f"Response({self.status})"

    def drop(self) -> None:
        """Close the connection, even if it is in the pool again."""
        self.close()
        if self.carrier is not None:
            self.carrier.abort()


async def read_reply(response: Response, call: Call) -> wire.Reply:
    """Read the parts of a response that the contract uses. The body is read for 2xx, 304 and 4xx only.

    Raises:
        ProtocolError: The body of a 2xx is encoded, or too large.
    """
    headers, status, body = response.headers, response.status, None
    is_encoded = _CONTENT_ENCODING in headers
    if (200 <= status < 300 or status == 304 or 400 <= status < 500) and not is_encoded:
        body = await _body(response.content, call.request.limit)
    if body is None:
        response.close()
        if 200 <= status < 300:
            how = "is encoded, against the request" if is_encoded else f"has more than {call.request.limit} bytes"
            msg = f"the answer {how}; nothing was changed: a proxy or another service may be in between"
            raise ProtocolError(msg, request_id=call.request_id)
    retry_after = headers.get(_RETRY_AFTER)
    return wire.Reply(
        status,
        body or b"",
        headers.get(_CONTENT_TYPE, "").partition(";")[0].strip().lower(),
        headers.get(_EXCHANGE),
        None if retry_after is None else wire.parse_retry_after(retry_after, time.time(), date=headers.get(_DATE)),
        call.request_id,
        headers.get(_ETAG),
    )


async def _body(content: aiohttp.StreamReader, limit: int) -> bytes | None:
    """Read a body to its end; return None if it exceeds the limit. Most bodies arrive in one piece."""
    body = await content.readany()
    while not content.at_eof() and len(body) <= limit:
        body += await content.readany()
    return body if len(body) <= limit else None


def check_status(reply: wire.Reply, request: wire.Request, server: str) -> wire.Reply:
    """Return the reply, unless its status is a failure of the transport: a redirect, or a busy server.

    A 304 is valid for a request with If-None-Match only.

    Raises:
        ProtocolError: It is a redirect, or a proxy requires credentials.
        ServerBusyError: 408, 425, 429 or 5xx.
    """
    if reply.status < 300 or (reply.status == 304 and request.if_none_match is not None):
        return reply
    if reply.status == 407:
        msg = f"a proxy on the way to {server} requires credentials (407): MimiCore(proxy='http://user:password@…')"
        raise ProtocolError(msg, request_id=reply.request_id)
    if reply.status < 400:
        msg = f"{server} redirects ({reply.status}), and redirects are not followed: name the server by its own address"
        raise ProtocolError(msg, request_id=reply.request_id)
    failure = wire.read_error(reply)
    if isinstance(failure, ServerBusyError):
        raise failure
    return reply
