"""The contract seen from the client, the other half: pure functions that read a reply."""

from typing import TypeVar

import attrs

from ..errors import (
    AnonymityViolationError,
    InvalidInputError,
    ProtocolError,
)
from ..hearing.results import HearingTestResult
from ..identity import AccessToken, AnonymousId, MimiUser
from .messages import (
    Creation,
    ExportMessage,
    HearingTest,
    HearingTestPage,
    Reader,
    SessionMessage,
    UnreadableError,
    User,
    names_nobody,
    result_of,
)
from .verdicts import Reply, failure


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


_Message = TypeVar("_Message")

_read_session = Reader(SessionMessage)
_read_creation = Reader(Creation)
_read_user = Reader(User)
_read_test = Reader(HearingTest)
_read_export = Reader(ExportMessage)
_read_page = Reader(HearingTestPage)


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


def read_export(reply: Reply, current: MimiUser) -> bytes:
    """Read an export of the current user: JSON, as the server wrote it.

    Raises:
        MimiError: The error that the reply stands for; `ProtocolError` if it is another subject's.
    """
    _expect(reply, 200)
    _user(_decoded(_read_export, reply).user, current.anonymous_id, reply, current.id)
    return reply.body


def read_erasure(reply: Reply) -> None:
    """Read the answer to an erasure.

    Raises:
        MimiError: The error that the reply stands for.
    """
    _expect(reply, 204)


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
