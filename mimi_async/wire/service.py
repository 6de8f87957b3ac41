"""The contract seen from the server: pure functions that read a body, and that write an answer."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, TypeVar

import attrs
from msgspec import UNSET

from ..errors import InvalidInputError
from ..hearing.results import HearingTestResult
from ..identity import AccessToken, AnonymousId, Sex, checked_sex, checked_year_of_birth
from . import contract
from .messages import (
    Creation,
    ExportMessage,
    HearingTest,
    HearingTestPage,
    LogIn,
    NewHearingTest,
    NewUser,
    Points,
    Problem,
    Reader,
    SessionMessage,
    Status,
    UnreadableError,
    User,
    UserPatch,
    audiogram_of,
    encode,
    points_of,
)


@attrs.frozen(kw_only=True)
class Profile:
    """What the server holds about a user: no id that opens it, and nothing that could name a person."""

    id: str
    year_of_birth: int | None = attrs.field(default=None, repr=False)
    sex: Sex | None = attrs.field(default=None, repr=False)
    latest_hearing_test: HearingTestResult | None = attrs.field(default=None, repr=False)


@attrs.frozen
class RefusedBodyError(Exception):
    """A body that the server answers with a problem.

    Attributes:
        status: 400 where it is no JSON, 422 where a field is unknown or invalid.
        detail: What to change; quotes nothing of the body.
    """

    status: int
    detail: str


_Message = TypeVar("_Message")

_read_new_user = Reader(NewUser)
_read_log_in = Reader(LogIn)
_read_patch = Reader(UserPatch)
_read_new_test = Reader(NewHearingTest)


def read_create_user(body: bytes) -> None:
    """Read the body of a creation: it can say nothing.

    Raises:
        RefusedBodyError: It says something.
    """
    _read(_read_new_user, body)


def read_log_in(body: bytes) -> AnonymousId:
    """Read the body of a log-in.

    Raises:
        RefusedBodyError: It holds no anonymousId, or more.
    """
    return _read(_read_log_in, body).anonymous_id


def read_patch(body: bytes) -> dict[str, Any]:
    """Read the changes of a user: those of `year_of_birth` and `sex` that are present.

    Raises:
        RefusedBodyError: A field is unknown or invalid.
    """
    message = _read(_read_patch, body)
    changes: dict[str, Any] = {}
    try:
        if message.year_of_birth is not UNSET:
            changes["year_of_birth"] = checked_year_of_birth(message.year_of_birth)
        if message.sex is not UNSET:
            changes["sex"] = checked_sex(message.sex)
    except InvalidInputError as error:
        raise RefusedBodyError(422, str(error)) from None
    return changes


def read_new_test(body: bytes) -> HearingTestResult:
    """Read a hearing test that a client submits; it has no id yet.

    Raises:
        RefusedBodyError: A field is missing, unknown or invalid.
    """
    message = _read(_read_new_test, body)
    left, right = audiogram_of(message.left), audiogram_of(message.right)
    try:
        return HearingTestResult(taken_at=message.taken_at, calibrated=message.calibrated, left=left, right=right)
    except InvalidInputError:
        refused = RefusedBodyError(422, "the moment at $.taken_at is before the year 1 or after 9999 in UTC")
    raise refused


def write_session(profile: Profile, token: AccessToken, expires_in: float) -> bytes:
    """Write the answer to a log-in; `expires_in` in seconds."""
    return encode(SessionMessage(user=_user(profile), access_token=token.reveal(), expires_in=expires_in))


def write_creation(profile: Profile, token: AccessToken, expires_in: float, anonymous_id: AnonymousId) -> bytes:
    """Write the answer to a creation; `expires_in` in seconds."""
    user = _user(profile)
    return encode(Creation(user=user, access_token=token.reveal(), expires_in=expires_in, anonymous_id=anonymous_id))


def write_user(profile: Profile) -> bytes:
    """Write a user."""
    return encode(_user(profile))


def write_test(result: HearingTestResult) -> bytes:
    """Write a hearing test that has its id."""
    return encode(_test(result))


def write_tests(results: Sequence[HearingTestResult], next_cursor: str | None) -> bytes:
    """Write a page of hearing tests."""
    return encode(HearingTestPage(tests=[_test(result) for result in results], next_cursor=next_cursor))


def write_export(profile: Profile, created_at: dt.datetime, results: Sequence[HearingTestResult]) -> bytes:
    """Write everything that is held about a user."""
    tests = [_test(result) for result in results]
    return encode(ExportMessage(user=_user(profile), created_at=created_at, hearing_tests=tests))


def write_status(status: str) -> bytes:
    """Write how the server is."""
    return encode(Status(status=status))


def write_problem(status: int, title: str, *, name: str | None = None, detail: str = "", request_id: str) -> bytes:
    """Write a problem (RFC 9457); `name` is one of `contract.PROBLEMS`, None for "about:blank"."""
    kind = "about:blank" if name is None else contract.PROBLEM_PREFIX + name
    return encode(Problem(type=kind, title=title, status=status, detail=detail, request_id=request_id))


def _read(reader: Reader[_Message], body: bytes) -> _Message:
    try:
        return reader(body)
    except UnreadableError as flaw:
        refused = RefusedBodyError(422, f"the field at {flaw.place} is missing, unknown or invalid")
        if not flaw.is_json:
            refused = RefusedBodyError(400, "the body is not JSON in UTF-8")
    raise refused


def _user(profile: Profile) -> User:
    test = profile.latest_hearing_test
    return User(
        id=profile.id,
        is_anonymous=True,
        year_of_birth=profile.year_of_birth,
        sex=profile.sex,
        latest_hearing_test=None if test is None else _test(test),
    )


def _test(result: HearingTestResult) -> HearingTest:
    return HearingTest(
        id=result.id or "",
        taken_at=result.taken_at,
        calibrated=result.calibrated,
        left=Points(**points_of(result.left)),
        right=Points(**points_of(result.right)),
    )
