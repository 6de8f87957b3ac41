"""The server's side: pure functions that read the body of a request and write the body of a reply."""

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

import attrs
from msgspec import UNSET

from ..errors import InvalidInputError
from ..hearing.results import HearingTestResult
from ..identity import Sex, validate_sex, validate_year_of_birth
from ..secret import AccessToken, AnonymousId
from . import contract
from .messages import (
    Creation,
    DecodeError,
    Decoder,
    ExportedTest,
    ExportMessage,
    HearingTest,
    HearingTestPage,
    LogIn,
    NewHearingTest,
    NewUser,
    Points,
    Problem,
    SessionMessage,
    Status,
    SubmittedTest,
    User,
    UserPatch,
    build_result,
    build_test,
    encode,
)


@attrs.frozen(kw_only=True)
class Profile:
    """What the server stores about a user: neither its anonymousId nor anything that identifies a person."""

    id: str
    year_of_birth: int | None = attrs.field(default=None, repr=False)
    sex: Sex | None = attrs.field(default=None, repr=False)
    latest_hearing_test: HearingTestResult | None = attrs.field(default=None, repr=False)


@attrs.frozen
class RefusedBodyError(Exception):
    """The body of a request is refused.

    Attributes:
        status: 400 if the body is not JSON, 422 if a field is unknown or invalid.
        detail: What to change. Holds no part of the body.
    """

    status: int
    detail: str


_Message = TypeVar("_Message")

_read_new_user = Decoder(NewUser)
_read_log_in = Decoder(LogIn)
_read_patch = Decoder(UserPatch)
_read_new_test = Decoder(NewHearingTest)


def read_create_user(body: bytes) -> None:
    """Check that the body of a creation is an empty object, or raise `RefusedBodyError`."""
    _decode(_read_new_user, body)


def read_log_in(body: bytes) -> AnonymousId:
    """Read the body of a log-in, or raise `RefusedBodyError`."""
    return _decode(_read_log_in, body).anonymous_id


def read_patch(body: bytes) -> dict[str, Any]:
    """Read the fields of `year_of_birth` and `sex` that are present, or raise `RefusedBodyError`."""
    message = _decode(_read_patch, body)
    changes: dict[str, Any] = {}
    try:
        if message.year_of_birth is not UNSET:
            changes["year_of_birth"] = validate_year_of_birth(message.year_of_birth)
        if message.sex is not UNSET:
            changes["sex"] = validate_sex(message.sex)
    except InvalidInputError as error:
        raise RefusedBodyError(422, str(error)) from None
    return changes


def read_new_test(body: bytes, now: dt.datetime) -> HearingTestResult:
    """Read a submitted hearing test, which has no id yet.

    Args:
        body: The body.
        now: The current time of the server.

    Raises:
        RefusedBodyError: A field is missing, unknown or invalid, or `taken_at` is more than a day after `now`.
    """
    message = _decode(_read_new_test, body)
    try:
        test = build_result(message)
    except InvalidInputError:
        refused = RefusedBodyError(422, "the time at $.taken_at is before the year 1 or after 9999 in UTC")
    else:
        if (test.taken_at - now).total_seconds() <= contract.CLOCK_TOLERANCE:
            return test
        refused = RefusedBodyError(422, "the time at $.taken_at is more than a day ahead: set the client's clock")
    raise refused


def write_session(profile: Profile, token: AccessToken, expires_in: float) -> bytes:
    """Write the reply to a log-in; `expires_in` in seconds."""
    return encode(SessionMessage(user=_write_user(profile), access_token=token.reveal(), expires_in=expires_in))


def write_creation(profile: Profile, token: AccessToken, expires_in: float, anonymous_id: AnonymousId) -> bytes:
    """Write the reply to a creation; `expires_in` in seconds."""
    user = _write_user(profile)
    return encode(Creation(user=user, access_token=token.reveal(), expires_in=expires_in, anonymous_id=anonymous_id))


def write_user(profile: Profile) -> bytes:
    """Write a user."""
    return encode(_write_user(profile))


def compute_version(body: bytes) -> str:
    """Return the version of a written user: a strong entity tag (RFC 9110, 8.8.3), the digest of its bytes."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def write_submission(result: HearingTestResult, *, is_latest: bool) -> bytes:
    """Write a stored hearing test."""
    return encode(SubmittedTest(**_test_fields(result), is_latest=is_latest))


def write_tests(results: Sequence[HearingTestResult], next_cursor: str | None) -> bytes:
    """Write a page of hearing tests."""
    tests = [HearingTest(**_test_fields(result)) for result in results]
    return encode(HearingTestPage(tests=tests, next_cursor=next_cursor))


def write_export(
    profile: Profile, created_at: dt.datetime, results: Sequence[tuple[HearingTestResult, dt.datetime]]
) -> bytes:
    """Write all data of a user; each test with the time at which the server received it."""
    tests = [ExportedTest(**_test_fields(result), received_at=received_at) for result, received_at in results]
    return encode(ExportMessage(user=_write_user(profile), created_at=created_at, hearing_tests=tests))


def write_status(status: str) -> bytes:
    """Write the health of the server."""
    return encode(Status(status=status))


def write_problem(status: int, title: str, *, name: str | None = None, detail: str = "", request_id: str) -> bytes:
    """Write a problem (RFC 9457); `name` is a key of `contract.PROBLEMS`, None for "about:blank"."""
    kind = "about:blank" if name is None else contract.PROBLEM_PREFIX + name
    return encode(Problem(type=kind, title=title, status=status, detail=detail, request_id=request_id))


def _decode(decode: Decoder[_Message], body: bytes) -> _Message:
    try:
        return decode(body)
    except DecodeError as error:
        refused = RefusedBodyError(422, f"the field at {error.path} is missing, unknown or invalid")
        if not error.is_json:
            refused = RefusedBodyError(400, "the body is not JSON in UTF-8")
    raise refused


def _write_user(profile: Profile) -> User:
    test = profile.latest_hearing_test
    return User(
        id=profile.id,
        is_anonymous=True,
        year_of_birth=profile.year_of_birth,
        sex=profile.sex,
        latest_hearing_test=None if test is None else HearingTest(**_test_fields(test)),
    )


def _test_fields(result: HearingTestResult) -> dict[str, Any]:
    return {"id": result.id or "", **build_test(result, Points)}
