"""A response of aiohttp, read with care."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final

import aiohttp
from aiohttp.connector import Connection
from multidict import istr

from .. import wire
from ..errors import ProtocolError, ServerBusyError
from .call import Call

_CONTENT_ENCODING: Final = istr("Content-Encoding")
_CONTENT_TYPE: Final = istr("Content-Type")
_EXCHANGE: Final = istr(wire.EXCHANGE)
_RETRY_AFTER: Final = istr("Retry-After")


class Response(aiohttp.ClientResponse):
    """A response that remembers what carried it: aiohttp hands a connection back as soon as the body has come."""

    carrier: asyncio.Transport | None = None

    def start(self, connection: Connection) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        """Begin to read."""
        self.carrier = connection.transport
        return super().start(connection)

    def __repr__(self) -> str:
        """Show no header: tracebacks may show it."""
        return f"Response({self.status})"

    def drop(self) -> None:
        """Close the connection, also where it is in the pool again already."""
        self.close()
        if self.carrier is not None:
            self.carrier.abort()


async def read(response: Response, call: Call) -> wire.Reply:
    """Return what the contract reads of a response. Beyond 2xx and 4xx the status says enough: no body is awaited.

    Raises:
        ProtocolError: The body of a 2xx is encoded, or too large.
    """
    headers, status, body = response.headers, response.status, None
    is_encoded = _CONTENT_ENCODING in headers
    if (200 <= status < 300 or 400 <= status < 500) and not is_encoded:
        body = await _body(response.content, call.request.limit)
    if body is None:
        response.close()
        if 200 <= status < 300:
            how = "is encoded, which nobody asked for" if is_encoded else f"has more than {call.request.limit} bytes"
            msg = f"the answer {how}; nothing was adopted: a proxy or another service may be in between"
            raise ProtocolError(msg, request_id=call.request_id)
    retry_after = headers.get(_RETRY_AFTER)
    return wire.Reply(
        status,
        body or b"",
        headers.get(_CONTENT_TYPE, "").partition(";")[0].strip().lower(),
        headers.get(_EXCHANGE),
        None if retry_after is None else wire.seconds_to_wait(retry_after, time.time()),
        call.request_id,
    )


async def _body(content: aiohttp.StreamReader, limit: int) -> bytes | None:
    """Read to the end; None where it is beyond the limit. Most bodies come in one piece."""
    body = await content.readany()
    while not content.at_eof() and len(body) <= limit:
        body += await content.readany()
    return body if len(body) <= limit else None


def accepted(reply: wire.Reply, server: str) -> wire.Reply:
    """Return the reply, unless it is no answer for the transport: a redirect, or a server that asks for patience.

    Raises:
        ProtocolError: It is a redirect.
        ServerBusyError: 408, 425, 429 or 5xx.
    """
    if reply.status < 300:
        return reply
    if reply.status < 400:
        msg = f"{server} redirects ({reply.status}), and redirects are not followed: name the server by its own address"
        raise ProtocolError(msg, request_id=reply.request_id)
    failure = wire.failure(reply)
    if isinstance(failure, ServerBusyError):
        raise failure
    return reply
