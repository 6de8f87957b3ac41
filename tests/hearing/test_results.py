"""Audiograms, hearing tests and the grades of the WHO."""

import datetime as dt
import math

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimi_async.errors import InvalidInputError
from mimi_async.hearing.results import FREQUENCIES, Audiogram, Grade, HearingTestResult

LEVELS = st.floats(-10, 120)
EARS = st.tuples(*[LEVELS] * 6).map(lambda levels: Audiogram(dict(zip(FREQUENCIES, levels, strict=True))))
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
FLAT = dict.fromkeys(FREQUENCIES, 10.0)


def hearing_test(left: float, right: float) -> HearingTestResult:
    """A test of two ears that hear alike at all frequencies."""
    ears = [dict.fromkeys(FREQUENCIES, level) for level in (left, right)]
    return HearingTestResult(taken_at=NOON, calibrated=True, left=ears[0], right=ears[1])


@given(EARS)
def test_an_audiogram_returns_its_levels_by_frequency(ear: Audiogram) -> None:
    assert [frequency for frequency, _ in ear] == [250, 500, 1000, 2000, 4000, 8000]
    assert [ear[frequency] for frequency in FREQUENCIES] == [level for _, level in ear] == list(ear.levels)
    assert Audiogram(dict(ear)) == ear == Audiogram(ear)


def test_the_order_of_the_frequencies_does_not_matter() -> None:
    points = {8000: 6, 4000: 5, 2000: 4, 1000: 3, 500: 2, 250: 1}
    assert Audiogram(points).levels == (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)


@pytest.mark.parametrize(
    "points", [{}, {**FLAT, 125: 10}, dict.fromkeys(FREQUENCIES[1:], 1), dict.fromkeys("abcdef", 1), None, [1] * 6]
)
def test_an_audiogram_needs_each_of_its_frequencies_and_no_other(points: object) -> None:
    with pytest.raises(InvalidInputError, match="each of 250, 500, 1000, 2000, 4000, 8000 Hz and nowhere else"):
        Audiogram(points)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "level",
    [-10.1, 120.1, math.nan, math.inf, -math.inf, 10**400, -(10**400), "10", None, True],
    ids=lambda level: str(level)[:9],
)
def test_a_threshold_out_of_range_is_refused(level: float) -> None:
    with pytest.raises(InvalidInputError, match="from -10 to 120 dB HL"):
        Audiogram({**FLAT, 1000: level})


def test_the_ends_of_the_range_are_thresholds() -> None:
    assert Audiogram({**FLAT, 250: -10, 8000: 120}).levels[::5] == (-10.0, 120.0)


@pytest.mark.parametrize(
    ("mean", "grade"),
    [
        (-10, Grade.NORMAL),
        (19.9, Grade.NORMAL),
        (20, Grade.MILD),
        (34.9, Grade.MILD),
        (35, Grade.MODERATE),
        (49.9, Grade.MODERATE),
        (50, Grade.MODERATELY_SEVERE),
        (64.9, Grade.MODERATELY_SEVERE),
        (65, Grade.SEVERE),
        (79.9, Grade.SEVERE),
        (80, Grade.PROFOUND),
        (94.9, Grade.PROFOUND),
        (95, Grade.COMPLETE),
        (120, Grade.COMPLETE),
    ],
)
def test_grades_as_the_world_report_on_hearing_does(mean: float, grade: Grade) -> None:
    assert hearing_test(mean, mean).grade is grade
    assert mean < 20 or hearing_test(mean, 120).grade is hearing_test(120, mean).grade is grade


@pytest.mark.parametrize(
    ("better", "worse", "grade"),
    [
        (-10, 34.9, Grade.NORMAL),
        (19.9, 34.9, Grade.NORMAL),
        (-10, 35, Grade.UNILATERAL),
        (19.9, 35, Grade.UNILATERAL),
        (19.9, 120, Grade.UNILATERAL),
        (20, 35, Grade.MILD),
        (20, 120, Grade.MILD),
    ],
)
def test_a_loss_of_one_ear_beside_one_that_hears_normally_is_unilateral(
    better: float, worse: float, grade: Grade
) -> None:
    assert hearing_test(better, worse).grade is hearing_test(worse, better).grade is grade


def test_the_better_ear_counts_whichever_it_is() -> None:
    assert hearing_test(15, 70).better_ear_mean == hearing_test(70, 15).better_ear_mean == 15
    assert hearing_test(15, 70).worse_ear_mean == hearing_test(70, 15).worse_ear_mean == 70


def test_the_mean_is_over_the_frequencies_of_speech() -> None:
    ear = {250: 120, 500: 10, 1000: 20, 2000: 30, 4000: 60, 8000: 120}
    result = HearingTestResult(taken_at=NOON, calibrated=True, left=ear, right=dict.fromkeys(FREQUENCIES, 120))
    assert result.better_ear_mean == result.left.mean == 30
    assert result.grade is Grade.MILD


@given(EARS, EARS)
def test_every_test_has_a_grade(left: Audiogram, right: Audiogram) -> None:
    result = HearingTestResult(taken_at=NOON, calibrated=False, left=left, right=right)
    assert result.grade in Grade
    assert result.better_ear_mean <= max(*left.levels, *right.levels)


def test_a_time_is_kept_in_utc() -> None:
    in_berlin = NOON.astimezone(dt.timezone(dt.timedelta(hours=2)))
    result = HearingTestResult(taken_at=in_berlin, calibrated=True, left=FLAT, right=FLAT)
    assert (result.taken_at, result.taken_at.tzinfo) == (NOON, dt.UTC)


@pytest.mark.parametrize("moment", [dt.datetime(2026, 3, 1), "2026-03-01", None, 0])  # noqa: DTZ001 - the point
def test_a_time_without_a_zone_is_refused(moment: dt.datetime) -> None:
    with pytest.raises(InvalidInputError, match=r"such as datetime\.now\(timezone\.utc\)"):
        HearingTestResult(taken_at=moment, calibrated=True, left=FLAT, right=FLAT)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_outside_the_calendar_is_refused(moment: str) -> None:
    with pytest.raises(InvalidInputError, match="from the year 1 to the year 9999"):
        HearingTestResult(taken_at=dt.datetime.fromisoformat(moment), calibrated=True, left=FLAT, right=FLAT)


@pytest.mark.parametrize("flag", [None, 1, "yes"])
def test_calibrated_is_yes_or_no(flag: bool) -> None:
    with pytest.raises(InvalidInputError, match="True or False"):
        HearingTestResult(taken_at=NOON, calibrated=flag, left=FLAT, right=FLAT)


def test_a_repr_holds_no_health_data() -> None:
    result = attrs.evolve(hearing_test(77, 88), id="test-1")
    assert repr(result) == "HearingTestResult(id='test-1', …)"
    assert repr(result.left) == "Audiogram(…)"


def test_values_do_not_change() -> None:
    result = hearing_test(10, 10)
    with pytest.raises(AttributeError):
        result.calibrated = False  # type: ignore[misc]
    with pytest.raises(AttributeError):
        result.left.levels = ()  # type: ignore[misc]
