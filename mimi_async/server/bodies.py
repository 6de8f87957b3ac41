"""What a request brings: its body, and who says it is."""

import asyncio
import binascii
import re
from typing import Final

from aiohttp import StreamReader, hdrs, web

from ..identity import ClientSecret, CreateKey
from ..wire.contract import IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_SHAPE
from .answers import ProblemError, invalid_input
from .keys import Keys
from .users import Caller

BODY_LIMIT: Final = 16 * 1024
"""Bytes that a body may have."""

_JSON: Final = "application/json"
_KEY_SHAPE = re.compile(IDEMPOTENCY_KEY_SHAPE, re.ASCII)
_ASK_FOR_BASIC: Final[dict[str, str]] = {hdrs.WWW_AUTHENTICATE: 'Basic realm="mimi-async", charset="UTF-8"'}
_ASK_FOR_BEARER: Final[dict[str, str]] = {hdrs.WWW_AUTHENTICATE: 'Bearer realm="mimi-async", error="invalid_token"'}


def credentials_rejected() -> ProblemError:
    """Return the problem of a client that is not known, or that did not say who it is."""
    return ProblemError("credentials-rejected", "authenticate by HTTP Basic with client id and secret", _ASK_FOR_BASIC)


def token_rejected() -> ProblemError:
    """Return the problem of a token that is expired, forged or missing, or whose user is gone."""
    return ProblemError("token-rejected", "authenticate by Bearer with a token of a fresh log-in", _ASK_FOR_BEARER)


def caller_of(request: web.BaseRequest, keys: Keys) -> Caller:
    """Return the client that a request says it is from (RFC 7617).

    Raises:
        ProblemError: It does not say so.
    """
    scheme, _, value = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() == "basic" and value.isascii():
        try:
            client_id, colon, secret = binascii.a2b_base64(value, strict_mode=True).decode().partition(":")
        except ValueError:
            pass
        else:
            if colon:
                return Caller(client_id, keys.client_digest(ClientSecret(secret)))
    raise credentials_rejected()


def user_of(request: web.BaseRequest, keys: Keys, now: float) -> str:
    """Return the id of the user that a request's token stands for (RFC 6750).

    Raises:
        ProblemError: There is no token, or it is not valid.
    """
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    user_id = keys.holder(token, now) if scheme.lower() == "bearer" else None
    if user_id is None:
        raise token_rejected()
    return user_id


def key_of(request: web.BaseRequest) -> CreateKey:
    """Return the idempotency key of a request.

    Raises:
        ProblemError: There is none, or it could be guessed.
    """
    key = request.headers.get(IDEMPOTENCY_KEY, "")
    if not _KEY_SHAPE.fullmatch(key):
        msg = f"{IDEMPOTENCY_KEY} must be a fresh random text of the shape {IDEMPOTENCY_KEY_SHAPE}"
        raise invalid_input(msg)
    return CreateKey(key)


async def body_of(request: web.BaseRequest, seconds: float) -> bytes:
    """Read the body, which must be JSON by its media type, in so many seconds.

    Raises:
        ProblemError: It is too large or too slow, or of another media type.
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
        _continue(request)
        body = await _slow_body(content, seconds)
    if len(body) > BODY_LIMIT:
        raise _too_large()
    return body


async def _slow_body(content: StreamReader, seconds: float) -> bytes:
    body = b""
    try:
        async with asyncio.timeout(seconds):
            while len(body) <= BODY_LIMIT and (chunk := await content.readany()):
                body += chunk
    except TimeoutError:
        late = ProblemError(408, f"the body must arrive within {seconds:g} s", _HANG_UP)
    except (web.RequestPayloadError, ConnectionError):  # a broken chunk, or the client has gone
        late = ProblemError(400, "the body is no HTTP/1.1", _HANG_UP)
    else:
        return body
    raise late


def _continue(request: web.BaseRequest) -> None:
    """Let a client send the body that it holds back (RFC 9110, 10.1.1)."""
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


_HANG_UP: Final[dict[str, str]] = {hdrs.CONNECTION: "close"}


def _too_large() -> ProblemError:
    return ProblemError(413, f"a body has {BODY_LIMIT} bytes at most", _HANG_UP)
