"""The client's side: pure functions that read a reply."""

import re
from typing import TypeVar

import attrs

from ..errors import AnonymityViolationError, InvalidInputError, ProtocolError
from ..hearing.results import HearingTestResult
from ..identity import MimiUser
from ..secret import AccessToken, AnonymousId
from .messages import (
    Creation,
    DecodeError,
    Decoder,
    ExportMessage,
    HearingTest,
    HearingTestPage,
    SessionMessage,
    SubmittedTest,
    User,
    build_result,
    may_be_anonymous,
)
from .reply_errors import Reply, read_error


@attrs.frozen
class Session:
    """A logged-in user.

    Attributes:
        user: The user.
        token: The access token of the user.
        expires_in: The lifetime of the token in seconds.
    """

    user: MimiUser
    token: AccessToken
    expires_in: float


_Message = TypeVar("_Message")

_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{0,128}"', re.ASCII)

_read_session = Decoder(SessionMessage)
_read_creation = Decoder(Creation)
_read_user = Decoder(User)
_read_test = Decoder(SubmittedTest)
_read_export = Decoder(ExportMessage)
_read_page = Decoder(HearingTestPage)


def read_session(reply: Reply, anonymous_id: AnonymousId, *, user_id: str | None = None) -> Session:
    """Read the reply to a log-in.

    Args:
        reply: The reply.
        anonymous_id: The id of the log-in.
        user_id: The expected user, or None if not known.

    Raises:
        MimiError: The error of the reply; `ProtocolError` if it is about another user.
    """
    _check_status(reply, 200, about=anonymous_id)
    message = _decode(_read_session, reply)
    user = _build_user(message.user, anonymous_id, reply, user_id)
    return Session(user, AccessToken(message.access_token), message.expires_in)


def read_creation(reply: Reply) -> Session:
    """Read the reply to a creation or its replay, or raise its error. The user has its new id."""
    _check_status(reply, 201, 200)
    message = _decode(_read_creation, reply)
    user = _build_user(message.user, message.anonymous_id, reply, None)
    return Session(user, AccessToken(message.access_token), message.expires_in)


def read_user(reply: Reply, current: MimiUser, *, known: MimiUser | None = None) -> MimiUser:
    """Read a user, which must be the current user.

    Args:
        reply: The reply.
        current: The user of the request.
        known: The user of the version in If-None-Match, which is returned for a 304; None without If-None-Match.

    Raises:
        MimiError: The error of the reply; `ProtocolError` if it is about another user.
    """
    if reply.status == 304 and known is not None:
        return known
    _check_status(reply, 200)
    return _build_user(_decode(_read_user, reply), current.anonymous_id, reply, current.id)


def read_version(reply: Reply) -> str | None:
    """Return the ETag of a reply if it is a strong entity tag (RFC 9110, 8.8.3), else None."""
    etag = reply.etag
    return etag if etag is not None and _STRONG_ETAG.fullmatch(etag) else None


def read_submission(reply: Reply) -> tuple[HearingTestResult, bool]:
    """Read a submitted hearing test with its new id, and whether it is the user's latest, or raise the error."""
    _check_status(reply, 201, 200)
    message = _decode(_read_test, reply, of_user=False)
    return _build_result(message, reply), message.is_latest


def read_tests(reply: Reply) -> tuple[list[HearingTestResult], str | None]:
    """Read a page of hearing tests and the cursor of the next page, None at the end, or raise the error."""
    _check_status(reply, 200)
    page = _decode(_read_page, reply, of_user=False)
    return [_build_result(test, reply) for test in page.tests], page.next_cursor


def read_export(reply: Reply, current: MimiUser) -> bytes:
    """Read an export of the current user: the JSON of the server, unchanged. Errors are those of `read_user`."""
    _check_status(reply, 200)
    _build_user(_decode(_read_export, reply).user, current.anonymous_id, reply, current.id)
    return reply.body


def read_deletion(reply: Reply) -> None:
    """Read the reply to the erasure of the user, or to the deletion of a hearing test, or raise its error."""
    _check_status(reply, 204)


def _check_status(reply: Reply, *statuses: int, about: AnonymousId | None = None) -> None:
    if reply.status in statuses:
        return
    msg = f"unexpected status {reply.status} for this request; nothing was adopted"
    raise read_error(reply, about=about) or ProtocolError(msg, request_id=reply.request_id)


def _decode(read: Decoder[_Message], reply: Reply, *, of_user: bool = True) -> _Message:
    try:
        return read(reply.body)
    except DecodeError as error:
        path = error.path or "its start"
    if of_user and not may_be_anonymous(reply.body):
        raise _anonymity_violation(reply)
    msg = f"the reply can't be read (at {path}); nothing was adopted"
    raise ProtocolError(msg, request_id=reply.request_id)


def _anonymity_violation(reply: Reply) -> AnonymityViolationError:
    msg = "the user of the reply is not anonymous, or has a field that could identify a person; nothing was adopted"
    return AnonymityViolationError(msg, request_id=reply.request_id)


def _build_user(message: User, anonymous_id: AnonymousId, reply: Reply, expected: str | None) -> MimiUser:
    if not message.is_anonymous:
        raise _anonymity_violation(reply)
    if expected is not None and message.id != expected:
        msg = "the reply is about another user; nothing was adopted"
        raise ProtocolError(msg, request_id=reply.request_id)
    test = message.latest_hearing_test
    return MimiUser(
        id=message.id,
        anonymous_id=anonymous_id,
        year_of_birth=message.year_of_birth,
        sex=message.sex,
        latest_hearing_test=None if test is None else _build_result(test, reply),
    )


def _build_result(test: HearingTest, reply: Reply) -> HearingTestResult:
    """Return the hearing test; its time may be outside the years 1 to 9999 in UTC."""
    try:
        return build_result(test)
    except InvalidInputError:
        msg = "the reply holds a hearing test of an impossible time; nothing was adopted"
    raise ProtocolError(msg, request_id=reply.request_id)
