"""The errors of replies: another exchange, a busy server, or a problem of the contract."""

import datetime as dt
import email.utils

import attrs

from ..errors import (
    ConfigurationError,
    CredentialsRejectedError,
    ErasedAnonymousIdError,
    InvalidInputError,
    MimiError,
    ProtocolError,
    ServerBusyError,
    UnknownAnonymousIdError,
    UnserviceableError,
)
from ..secret import AnonymousId
from . import contract
from .messages import DecodeError, Decoder, Problem

_BUSY = (408, 425, 429)

_read_problem = Decoder(Problem)


@attrs.frozen
class Reply:
    """One reply of the server, reduced to the fields of the contract.

    Attributes:
        status: The HTTP status.
        body: The bytes of the body.
        content_type: The media type, without parameters.
        exchange: The value of Mimi-Exchange.
        etag: The value of ETag.
        retry_after: Seconds, from Retry-After (RFC 9110, 10.2.3).
        request_id: The value of X-Request-ID.
    """

    status: int
    body: bytes = attrs.field(default=b"", repr=False)
    content_type: str = "application/json"
    exchange: str | None = None
    retry_after: float | None = None
    request_id: str | None = None
    etag: str | None = None


class TokenRejectedError(ProtocolError):
    """The access token is expired or invalid, or its user is erased. The controller logs in once and sends again.

    Not raised to a caller of the library.
    """


class VersionRejectedError(ProtocolError):
    """The user was changed since the version in If-Match. The controller reads it again.

    Not raised to a caller of the library.
    """


def check_exchange(reply: Reply, exchange: str) -> None:
    """Refuse a reply of the contract that belongs to another exchange.

    Raises:
        ProtocolError: The reply is a 2xx, a 304 or a problem of the contract, without the nonce of this attempt.
    """
    if reply.exchange == exchange:
        return
    if 200 <= reply.status < 300 or reply.status == 304 or _problem_name(reply):
        msg = "the reply belongs to another exchange (Mimi-Exchange differs); nothing was adopted"
        raise ProtocolError(msg, request_id=reply.request_id)


def parse_retry_after(header: str | None, now: float, *, date: str | None = None) -> float | None:
    """Return the seconds of a Retry-After, a number or a date (RFC 9110, 10.2.3); None if it is absent or invalid.

    Args:
        header: The value of the field.
        now: The current time in seconds since the epoch, used for a reply without a Date.
        date: The Date of the same reply, to which a date in Retry-After is relative: clocks may differ.
    """
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return float(header[:9])
    end = _parse_date(header)
    if end is None:
        return None
    start = None if date is None else _parse_date(date)
    return max(0.0, end - (now if start is None else start))


def _parse_date(text: str) -> float | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
        return date.replace(tzinfo=date.tzinfo or dt.UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def read_error(reply: Reply, *, about: AnonymousId | None = None) -> MimiError | None:
    """Return the error of a reply, None for a 2xx. No text of the server is quoted.

    Args:
        reply: The reply.
        about: The id in the request, for the message.
    """
    if 200 <= reply.status < 300:
        return None
    if reply.status in _BUSY or reply.status >= 500:
        wait = "" if reply.retry_after is None else f" and asks to wait {reply.retry_after:g} s"
        msg = f"the server is busy or failing ({reply.status}){wait}; what is stored was kept: try again later"
        return ServerBusyError(msg, retry_after=reply.retry_after, request_id=reply.request_id)
    return _read_problem_error(reply, about)


def _read_problem_error(reply: Reply, about: AnonymousId | None) -> MimiError:
    request_id = reply.request_id
    shown_id = about.masked if about else "this id"
    match _problem_name(reply):
        case "credentials-rejected" | "client-not-allowed" as name:
            msg = f"the server rejected the client credentials ({name}); the stored id was kept: check id and secret"
            return CredentialsRejectedError(msg, request_id=request_id)
        case "token-rejected":
            return TokenRejectedError("the server rejected the access token", request_id=request_id)
        case "unknown-anonymous-id":
            msg = f"the server has no user of {shown_id}; the record was kept: check server and client, or start_over()"
            return UnknownAnonymousIdError(msg, request_id=request_id)
        case "unknown-path":
            msg = "the server has no such path; what is stored was kept: correct the path in the server's address"
            return ConfigurationError(msg, request_id=request_id)
        case "erased":
            msg = f"the user of {shown_id} was erased: drop every copy of the id"
            return ErasedAnonymousIdError(msg, anonymous_id=about, request_id=request_id)
        case "conflict":
            return VersionRejectedError("the user was changed since it was read", request_id=request_id)
        case "invalid-input":
            msg = f"the server refused a field of the request as invalid; its log says which, under {request_id}"
            return InvalidInputError(msg, request_id=request_id)
        case "unserviceable":
            msg = "the server no longer supports this version of mimi_async: update it"
            return UnserviceableError(msg, request_id=request_id)
        case _:
            msg = f"the reply ({reply.status}) is not one of the contract: check the address, and proxies or portals"
            return ProtocolError(msg, request_id=request_id)


def _problem_name(reply: Reply) -> str | None:
    """Return the name of a problem of the contract that has its own status, else None."""
    if reply.content_type != contract.PROBLEM_JSON:
        return None
    try:
        name = _read_problem(reply.body).type.removeprefix(contract.PROBLEM_PREFIX)
    except DecodeError:
        return None
    return name if contract.PROBLEMS.get(name, (None,))[0] == reply.status else None
