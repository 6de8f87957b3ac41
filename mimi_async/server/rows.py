"""How a row of the database is a value, and a value a row."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from ..hearing.results import FREQUENCIES, Audiogram, HearingTestResult
from ..wire.service import Profile
from .users import Candidate, Member, Refusal

Row = tuple[Any, ...]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_EAR = len(FREQUENCIES)

USER_COLUMNS: Final = 4
"""How many columns of a row are those of the user; the others are those of its latest test."""


def new_user_row(candidate: Candidate, partner: str) -> Row:
    """Return the columns of a user that is new, in the order of `schema.MAKE_USER`."""
    created_at = (candidate.created_at - _EPOCH) // _MICROSECOND
    return partner, candidate.create_digest, candidate.id_digest(partner), bytes.fromhex(candidate.user_id), created_at


def member_of(row: Row, partner: str) -> Member | Refusal:
    """Return the user that a client of a partner has found, in the columns of `schema.USER`."""
    return Refusal.ERASED if row[0] is None else Member(partner, profile_of(row))


def profile_of(row: Row) -> Profile:
    """Return a user, in the columns of `schema.USER`."""
    (user_id, _, year_of_birth, sex), test = row[:USER_COLUMNS], row[USER_COLUMNS:]
    latest = None if test[0] is None else test_of(test)
    return Profile(id=user_id.hex(), year_of_birth=year_of_birth, sex=sex, latest_hearing_test=latest)


def test_of(row: Sequence[Any]) -> HearingTestResult:
    """Return a hearing test."""
    test_id, taken_at, calibrated, *levels = row
    return HearingTestResult(
        id=test_id,
        taken_at=moment_of(taken_at),
        calibrated=bool(calibrated),
        left=Audiogram(dict(zip(FREQUENCIES, levels[:_EAR], strict=True))),
        right=Audiogram(dict(zip(FREQUENCIES, levels[_EAR:], strict=True))),
    )


def new_test_row(user_id: bytes, key_digest: bytes, test: HearingTestResult) -> Row:
    """Return the columns of a hearing test that is new."""
    taken_at = (test.taken_at - _EPOCH) // _MICROSECOND
    return user_id, test.id, key_digest, taken_at, test.calibrated, *test.left.levels, *test.right.levels


def moment_of(microseconds: int) -> dt.datetime:
    """Return a moment that is kept in microseconds since the epoch."""
    return _EPOCH + microseconds * _MICROSECOND
