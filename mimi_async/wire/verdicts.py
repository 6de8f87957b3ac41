"""What a reply is worth: whose it is, and the error that it stands for."""

import datetime as dt
import email.utils

import attrs

from ..errors import (
    CredentialsRejectedError,
    ErasedAnonymousIdError,
    InvalidInputError,
    MimiError,
    ProtocolError,
    ServerBusyError,
    UnknownAnonymousIdError,
    UnserviceableError,
)
from ..identity import AnonymousId
from . import contract
from .messages import Problem, Reader, UnreadableError

_BUSY = (408, 425, 429)

_read_problem = Reader(Problem)


@attrs.frozen
class Reply:
    """What came back, reduced to what the contract reads.

    Attributes:
        status: The HTTP status.
        body: The bytes, undecoded.
        content_type: The media type, without parameters.
        exchange: The value of Mimi-Exchange.
        retry_after: Seconds, from Retry-After (RFC 9110, 10.2.3).
        request_id: The value of X-Request-ID.
    """

    status: int
    body: bytes = attrs.field(default=b"", repr=False)
    content_type: str = "application/json"
    exchange: str | None = None
    retry_after: float | None = None
    request_id: str | None = None


class TokenRejectedError(ProtocolError):
    """The access token is expired, forged, or its user is gone: the controller logs in once and replays.

    Never reaches a caller as such.
    """


def check_exchange(reply: Reply, exchange: str) -> None:
    """Refuse a reply that claims to be ours and belongs to another exchange.

    Raises:
        ProtocolError: A 2xx, or a problem of ours, without the nonce of this attempt.
    """
    if reply.exchange == exchange:
        return
    if 200 <= reply.status < 300 or _problem_name(reply):
        msg = "the reply belongs to another exchange (Mimi-Exchange differs); nothing was adopted"
        raise ProtocolError(msg, request_id=reply.request_id)


def seconds_to_wait(header: str | None, now: float) -> float | None:
    """Read a Retry-After: seconds or a date (RFC 9110, 10.2.3). None where there is none, or none that can be read.

    Args:
        header: The value of the field.
        now: The current time in seconds since the epoch.
    """
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        date = email.utils.parsedate_to_datetime(header)
        return max(0.0, date.replace(tzinfo=date.tzinfo or dt.UTC).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def failure(reply: Reply, *, about: AnonymousId | None = None) -> MimiError | None:
    """Return the error that a reply stands for, None for a 2xx. No text of the server is quoted.

    Args:
        reply: The reply.
        about: The id that the request was about, for the message.
    """
    status, request_id = reply.status, reply.request_id
    if 200 <= status < 300:
        return None
    if status in _BUSY or status >= 500:
        patience = "" if reply.retry_after is None else f" and asks to wait {reply.retry_after:g} s"
        msg = f"the server is busy or failing ({status}){patience}; nothing was changed here: try again later"
        return ServerBusyError(msg, retry_after=reply.retry_after, request_id=request_id)
    who = about.masked if about else "this id"
    match _problem_name(reply):
        case "credentials-rejected" | "client-not-allowed" as name:
            msg = f"the server rejected the client credentials ({name}); the stored id was kept: check id and secret"
            return CredentialsRejectedError(msg, request_id=request_id)
        case "token-rejected":
            return TokenRejectedError("the server rejected the access token", request_id=request_id)
        case "unknown-anonymous-id":
            msg = f"no user is known by {who}; the id was kept: check server and client, or call start_over()"
            return UnknownAnonymousIdError(msg, request_id=request_id)
        case "erased":
            msg = f"the user behind {who} was erased for ever: drop every copy of the id"
            return ErasedAnonymousIdError(msg, anonymous_id=about, request_id=request_id)
        case "invalid-input":
            msg = f"the server refused a field of the request as invalid; its log says which, under {request_id}"
            return InvalidInputError(msg, request_id=request_id)
        case "unserviceable":
            msg = "the server no longer supports this version of mimi_async: update it"
            return UnserviceableError(msg, request_id=request_id)
        case _:
            msg = f"the answer ({status}) is none of ours: a wrong address, a proxy or a portal may be in between"
            return ProtocolError(msg, request_id=request_id)


def _problem_name(reply: Reply) -> str | None:
    """The name of a problem of ours that comes with the status it belongs to."""
    if reply.content_type != contract.PROBLEM_JSON:
        return None
    try:
        name = _read_problem(reply.body).type.removeprefix(contract.PROBLEM_PREFIX)
    except UnreadableError:
        return None
    return name if contract.PROBLEMS.get(name, (None,))[0] == reply.status else None
