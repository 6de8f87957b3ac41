"""The contract seen from the client, the other half: pure functions that read a reply."""

import datetime as dt
import email.utils
from typing import TypeVar

import attrs

from ..errors import (
    AnonymityViolationError,
    CredentialsRejectedError,
    ErasedAnonymousIdError,
    InvalidInputError,
    MimiError,
    ProtocolError,
    ServerBusyError,
    UnknownAnonymousIdError,
    UnserviceableError,
)
from ..hearing.results import HearingTestResult
from ..identity import AccessToken, AnonymousId, MimiUser
from . import contract
from .messages import (
    Creation,
    HearingTest,
    HearingTestPage,
    Problem,
    Reader,
    SessionMessage,
    UnreadableError,
    User,
    names_nobody,
    result_of,
)

_BUSY = (408, 425, 429)


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


@attrs.frozen
class Session:
    """A logged-in user.

    Attributes:
        user: The user.
        token: What to authenticate with on its behalf.
        expires_in: Seconds from the answer on.
    """

    user: MimiUser
    token: AccessToken
    expires_in: float


class TokenRejectedError(ProtocolError):
    """The access token is expired, forged, or its user is gone: the controller logs in once and replays.

    Never reaches a caller as such.
    """


_Message = TypeVar("_Message")

_read_session = Reader(SessionMessage)
_read_creation = Reader(Creation)
_read_user = Reader(User)
_read_test = Reader(HearingTest)
_read_page = Reader(HearingTestPage)
_read_problem = Reader(Problem)


def read_session(reply: Reply, anonymous_id: AnonymousId, *, user_id: str | None = None) -> Session:
    """Read the answer to a log-in.

    Args:
        reply: The reply.
        anonymous_id: The id that logged in.
        user_id: The user that it must be, where that is known.

    Raises:
        MimiError: The error that the reply stands for; `ProtocolError` if it is another subject's.
    """
    _expect(reply, 200, about=anonymous_id)
    message = _decoded(_read_session, reply)
    user = _user(message.user, anonymous_id, reply, user_id)
    return Session(user, AccessToken(message.access_token), message.expires_in)


def read_creation(reply: Reply) -> Session:
    """Read the answer to a creation or to its replay; the user carries its new id.

    Raises:
        MimiError: The error that the reply stands for.
    """
    _expect(reply, 201, 200)
    message = _decoded(_read_creation, reply)
    user = _user(message.user, message.anonymous_id, reply, None)
    return Session(user, AccessToken(message.access_token), message.expires_in)


def read_user(reply: Reply, current: MimiUser) -> MimiUser:
    """Read a user, who must be the current one.

    Raises:
        MimiError: The error that the reply stands for; `ProtocolError` if it is another subject's.
    """
    _expect(reply, 200)
    return _user(_decoded(_read_user, reply), current.anonymous_id, reply, current.id)


def read_test(reply: Reply) -> HearingTestResult:
    """Read a hearing test that was submitted: it has its id now.

    Raises:
        MimiError: The error that the reply stands for.
    """
    _expect(reply, 201, 200)
    return _result(_decoded(_read_test, reply, of_user=False), reply)


def read_tests(reply: Reply) -> tuple[list[HearingTestResult], str | None]:
    """Read a page of hearing tests, and the cursor of the next one, None at the end.

    Raises:
        MimiError: The error that the reply stands for.
    """
    _expect(reply, 200)
    page = _decoded(_read_page, reply, of_user=False)
    return [_result(test, reply) for test in page.tests], page.next_cursor


def read_export(reply: Reply) -> bytes:
    """Read an export: JSON, as the server wrote it.

    Raises:
        MimiError: The error that the reply stands for.
    """
    _expect(reply, 200)
    return reply.body


def read_erasure(reply: Reply) -> None:
    """Read the answer to an erasure.

    Raises:
        MimiError: The error that the reply stands for.
    """
    _expect(reply, 204)


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


def _expect(reply: Reply, *statuses: int, about: AnonymousId | None = None) -> None:
    if reply.status in statuses:
        return
    error = failure(reply, about=about)
    if error is None:
        error = ProtocolError(f"a {reply.status} is no answer to this request", request_id=reply.request_id)
    raise error


def _decoded(read: Reader[_Message], reply: Reply, *, of_user: bool = True) -> _Message:
    try:
        return read(reply.body)
    except UnreadableError as flaw:
        place = flaw.place or "its start"
    if of_user and not names_nobody(reply.body):
        raise _violation(reply)
    msg = f"the answer can't be read (at {place}); nothing was adopted"
    raise ProtocolError(msg, request_id=reply.request_id)


def _violation(reply: Reply) -> AnonymityViolationError:
    msg = (
        "the reply describes a user that is not anonymous, or has a field that could name a person; nothing was adopted"
    )
    return AnonymityViolationError(msg, request_id=reply.request_id)


def _user(message: User, anonymous_id: AnonymousId, reply: Reply, expected: str | None) -> MimiUser:
    if not message.is_anonymous:
        raise _violation(reply)
    if expected is not None and message.id != expected:
        msg = "the reply is about another user; nothing was adopted"
        raise ProtocolError(msg, request_id=reply.request_id)
    test = message.latest_hearing_test
    return MimiUser(
        id=message.id,
        anonymous_id=anonymous_id,
        year_of_birth=message.year_of_birth,
        sex=message.sex,
        latest_hearing_test=None if test is None else _result(test, reply),
    )


def _result(test: HearingTest, reply: Reply) -> HearingTestResult:
    """Return the hearing test; its time may be one that no calendar holds, once it is told in UTC."""
    try:
        return result_of(test)
    except InvalidInputError:
        msg = "the answer holds a hearing test of an impossible time; nothing was adopted"
    raise ProtocolError(msg, request_id=reply.request_id)
