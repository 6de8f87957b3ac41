"""Convert rows of the databases to values, and values to rows."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from ...hearing.results import FREQUENCIES, Audiogram, HearingTestResult
from ...wire.server_side import Profile
from .repository import PAGE, Export, NewUser, Page, PartnerUser, Refusal

Row = tuple[Any, ...]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_EAR = len(FREQUENCIES)
_MAX_TIME = 2**63 - 1

LEVELS: Final = tuple(f"{ear}_{frequency}" for ear in ("left", "right") for frequency in FREQUENCIES)
"""The columns of the levels of a hearing test."""
TEST_COLUMNS: Final = ", ".join(f"t.{name}" for name in ("test_id", "taken_at", "calibrated", *LEVELS, "received"))
COLUMNS: Final = f"u.user_id, u.created_at, u.year_of_birth, u.sex, {TEST_COLUMNS}"
"""The columns of a user u and of a hearing test t, NULL where the user has none."""
_USER_COLUMNS = 4


def new_user_row(new_user: NewUser, partner: str) -> Row:
    """Return the columns of a new user, in the order of `MAKE_USER`."""
    created_at = (new_user.created_at - _EPOCH) // _MICROSECOND
    return partner, new_user.create_digest, new_user.id_digest(partner), bytes.fromhex(new_user.user_id), created_at


def read_found_user(row: Row | None, unknown: Refusal) -> PartnerUser | Refusal:
    """Return the user of a client. No row: there is no such client; a row without a user: there is no such user.

    Args:
        row: The partner of the client, whether the user exists, and `COLUMNS`.
        unknown: Refuses where the user does not exist.
    """
    if row is None:
        return Refusal.CREDENTIALS
    partner, is_known, *user = row
    if not is_known:
        return unknown
    return Refusal.ERASED if user[0] is None else PartnerUser(partner, _read_profile(tuple(user)))


def read_found_profile(row: Row | None) -> Profile | Refusal:
    """Return a user from `COLUMNS`. No row: there is no such user."""
    return Refusal.TOKEN if row is None else _read_profile(row)


def _read_profile(row: Row) -> Profile:
    (user_id, _, year_of_birth, sex), test = row[:_USER_COLUMNS], row[_USER_COLUMNS:]
    latest = None if test[0] is None else read_test(test)
    return Profile(id=user_id.hex(), year_of_birth=year_of_birth, sex=sex, latest_hearing_test=latest)


def read_page(rows: Sequence[Row]) -> Page | Refusal:
    """Return a page from `TEST_COLUMNS` of its tests, or one row of NULLs. No row: there is no such user.

    One row more than fits means that more tests follow.
    """
    if not rows:
        return Refusal.TOKEN
    tests = _drop_empty(rows)
    cursor = f"{int(tests[PAGE - 1][-1]):015x}" if len(tests) > PAGE else None
    return Page([read_test(row) for row in tests[:PAGE]], cursor)


def read_cursor(cursor: str | None) -> int:
    """Return the time before which the tests of a page were received, in microseconds since the epoch."""
    return _MAX_TIME if cursor is None else int(cursor, 16)


def read_test(row: Row) -> HearingTestResult:
    """Return a hearing test from its columns."""
    test_id, taken_at, calibrated, *levels, _ = row
    return HearingTestResult(
        id=test_id,
        taken_at=_read_time(taken_at),
        calibrated=bool(calibrated),
        left=Audiogram(dict(zip(FREQUENCIES, levels[:_EAR], strict=True))),
        right=Audiogram(dict(zip(FREQUENCIES, levels[_EAR:], strict=True))),
    )


def new_test_row(user_id: bytes, key_digest: bytes, test: HearingTestResult) -> Row:
    """Return the columns of a new hearing test."""
    taken_at = (test.taken_at - _EPOCH) // _MICROSECOND
    return user_id, test.id, key_digest, taken_at, test.calibrated, *test.left.levels, *test.right.levels


def read_export(rows: Sequence[Row]) -> Export | Refusal:
    """Return the export of a user from `COLUMNS`, once for each test, newest first. No row: there is no such user."""
    if not rows:
        return Refusal.TOKEN
    tests = _drop_empty([row[_USER_COLUMNS:] for row in rows])
    times = [(read_test(test), _read_time(test[-1])) for test in tests]
    return Export(_read_profile(rows[0]), _read_time(rows[0][1]), times)


def _drop_empty(rows: Sequence[Row]) -> list[Row]:
    """Return the tests of an outer join, which has a row of NULLs where there are no tests."""
    return [row for row in rows if row[0] is not None]


def _read_time(microseconds: int) -> dt.datetime:
    return _EPOCH + microseconds * _MICROSECOND
