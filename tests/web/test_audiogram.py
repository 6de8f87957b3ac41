"""The drawing: where its axis ends, and which marks say "or more"."""

import datetime as dt

import pytest

from mimi_async import HearingTestResult
from mimi_async.hearing.estimate import typical_for
from mimi_async.hearing.results import FREQUENCIES
from mimi_async.web.audiogram import FRAME, Chart, draw_chart

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def draw(left: float, right: float, *, calibrated: bool = False) -> Chart:
    ears = [dict.fromkeys(FREQUENCIES, level) for level in (left, right)]
    test = HearingTestResult(taken_at=NOON, calibrated=calibrated, left=ears[0], right=ears[1])
    return draw_chart(test, typical_for(50))


@pytest.mark.parametrize(("loudest", "end"), [(-10, 90), (80, 90), (90, 90), (90.5, 120), (120, 120)])
def test_the_axis_ends_at_90_unless_something_louder_is_shown(loudest: float, end: float) -> None:
    for calibrated in (False, True):
        found = draw(-10, loudest, calibrated=calibrated)
        assert [tick.value for tick in found.levels] == [-10, 0, 20, 40, 60, 80] + [100, 120] * (end == 120)
        assert found.levels[0].at == FRAME.top
        ys = [point.y for curve in found.curves for point in curve.points]
        assert min(ys) == FRAME.top
        assert max(ys) <= FRAME.bottom
        assert found.levels[-1].at == (FRAME.bottom if end == 120 else pytest.approx(FRAME.bottom - 28))


def test_a_level_lies_between_its_lines() -> None:
    found = draw(10, 20)
    right, left = found.curves[1], found.curves[2]
    lines = {tick.value: tick.at for tick in found.levels}
    assert {point.y for point in right.points} == {lines[20]}
    assert {point.y for point in left.points} == {(lines[0] + lines[20]) / 2}


def test_a_mark_at_the_loudest_tone_of_an_uncalibrated_test_may_lie_lower() -> None:
    def least(found: Chart) -> list[set[bool]]:
        return [{point.is_lower_bound for point in curve.points} for curve in found.curves]

    assert least(draw(80, 75)) == [{False}, {False}, {True}]
    assert least(draw(80, 85)) == [{False}, {False}, {True}]
    assert least(draw(80, 80, calibrated=True)) == [{False}] * 3
