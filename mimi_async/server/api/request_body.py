"""The body of a request, and its idempotency key."""

import asyncio
import re
from typing import Final

from aiohttp import StreamReader, hdrs, web

from ...secret import CreateKey
from ...wire.contract import IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_PATTERN
from .responses import CLOSE, ProblemError, invalid_input

BODY_LIMIT: Final = 16 * 1024
"""The maximum size of a body in bytes."""

_JSON: Final = "application/json"
_KEY = re.compile(IDEMPOTENCY_KEY_PATTERN, re.ASCII)


def read_idempotency_key(request: web.BaseRequest) -> CreateKey:
    """Return the idempotency key of a request.

    Raises:
        ProblemError: The request has no key, or one that could be guessed.
    """
    key = request.headers.get(IDEMPOTENCY_KEY, "")
    if not _KEY.fullmatch(key):
        msg = f"{IDEMPOTENCY_KEY} must be a new random text of the form {IDEMPOTENCY_KEY_PATTERN}"
        raise invalid_input(msg)
    return CreateKey(key)


async def read_body(request: web.BaseRequest, timeout: float) -> bytes:
    """Read the body, which must have the media type of JSON, within `timeout` seconds.

    Raises:
        ProblemError: The body is too large or too slow, or has another media type.
    """
    media_type = request.headers.get(hdrs.CONTENT_TYPE)
    if (media_type != _JSON and request.content_type != _JSON) or hdrs.CONTENT_ENCODING in request.headers:
        raise ProblemError(415, f"send {_JSON}, without a content coding", {hdrs.ACCEPT: _JSON})
    content = request.content
    if (request.content_length or 0) > BODY_LIMIT:
        raise _too_large()
    if content.is_eof():
        body = content.read_nowait()
    else:
        if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")  # the client waits for it (RFC 9110, 10.1.1)
        body = await _read_slow_body(content, timeout)
    if len(body) > BODY_LIMIT:
        raise _too_large()
    return body


async def _read_slow_body(content: StreamReader, timeout: float) -> bytes:
    body = b""
    try:
        async with asyncio.timeout(timeout):
            while len(body) <= BODY_LIMIT and (chunk := await content.readany()):
                body += chunk
    except TimeoutError:
        problem = ProblemError(408, f"the body must arrive within {timeout:g} s", CLOSE)
    except (web.RequestPayloadError, ConnectionError):  # a broken chunk, or the client has disconnected
        problem = ProblemError(400, "the body is not valid HTTP/1.1", CLOSE)
    else:
        return body
    raise problem


def _too_large() -> ProblemError:
    return ProblemError(413, f"a body has at most {BODY_LIMIT} bytes", CLOSE)
