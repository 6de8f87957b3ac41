"""The page of the results: thresholds, grades, and the earlier tests."""

import datetime as dt
from collections.abc import Mapping

import pytest

from mimi_async import HearingTestResult
from mimi_async.hearing.results import FREQUENCIES

from .sites import Person

Ear = float | Mapping[int, float]
"""Thresholds, or one that holds for all frequencies."""

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
CALLS, WOULD_CALL = "scale of 2021 calls this: “{}”.", "scale of 2021 would call this: “{}”."


async def submit_test(person: Person, left: Ear, right: Ear, *, calibrated: bool = False, days_ago: int = 0) -> None:
    """Keep a hearing test of a person."""
    auth = await person.product.core.auth_for("anna")
    await auth.ensure_user()
    taken_at = NOW - dt.timedelta(days=days_ago)
    ears = [ear if isinstance(ear, Mapping) else dict.fromkeys(FREQUENCIES, ear) for ear in (left, right)]
    await auth.submit_hearing_test(
        HearingTestResult(taken_at=taken_at, calibrated=calibrated, left=ears[0], right=ears[1])
    )


async def test_a_threshold_at_the_loudest_tone_is_80_or_more_in_words(anna: Person) -> None:
    await submit_test(anna, {**dict.fromkeys(FREQUENCIES, 75.0), 8000: 80.0}, 80)
    page = await anna.get("results")
    assert page.document.cells[-3:] == ["8000 Hz", "80 or more", "80 or more"]
    assert page.document.cells[-6:-3] == ["4000 Hz", "80 or more", "75"]
    assert "80 dB HL is the loudest tone of this test" in page.document.words
    assert "mark with an arrow: 80 dB HL or more" in page.document.words


async def test_a_threshold_at_the_same_level_is_what_it_says_where_the_headphones_are_calibrated(anna: Person) -> None:
    await submit_test(anna, 80, 80, calibrated=True)
    page = await anna.get("results")
    assert page.document.cells[-3:] == ["8000 Hz", "80", "80"]
    assert "or more" not in page.document.words


async def test_a_level_below_zero_has_a_minus_sign(anna: Person) -> None:
    await submit_test(anna, -10, 0)
    page = await anna.get("results")
    assert page.document.cells[-3:] == ["8000 Hz", "0", "−10"]
    assert "on average: −10 dB HL in your better ear, 0 dB HL in the other" in page.document.words


@pytest.mark.parametrize(
    ("left", "right", "said"),
    [
        ({**dict.fromkeys(FREQUENCIES, 70.0), 4000: 80.0}, 80, "at least 72 dB HL in your better ear, at least 80 dB"),
        ({**dict.fromkeys(FREQUENCIES, 70.0), 8000: 80.0}, 80, ": 70 dB HL in your better ear, at least 80 dB HL in"),
        (80, 75, ": 75 dB HL in your better ear, at least 80 dB HL in the other"),
        ({**dict.fromkeys(FREQUENCIES, 40.0), 4000: 80.0}, 50, ": 50 dB HL in your better ear, at least 50 dB HL in"),
        (30, {**dict.fromkeys(FREQUENCIES, 20.0), 4000: 80.0}, ": 30 dB HL in your better ear, at least 35 dB HL in"),
    ],
)
async def test_a_mean_over_a_threshold_that_may_lie_higher_is_at_least_that(
    left: Ear, right: Ear, said: str, anna: Person
) -> None:
    await submit_test(anna, left, right)
    for page in ("", "results"):
        assert said in (await anna.get(page)).document.words


async def test_the_grade_of_an_uncalibrated_test_comes_after_the_notice_and_is_conditional(anna: Person) -> None:
    await submit_test(anna, 10, 30)
    for page in ("", "results"):
        words = (await anna.get(page)).document.words
        assert WOULD_CALL.format("Normal hearing") in words
        assert words.index("Uncalibrated") < words.index("on average") < words.index("On a calibrated device")
        assert "2021 calls" not in words


async def test_the_grade_of_a_calibrated_test_is_unconditional(anna: Person) -> None:
    await submit_test(anna, 10, 60, calibrated=True)
    words = (await anna.get("results")).document.words
    assert CALLS.format("Unilateral hearing loss") in words
    assert "Measured with calibrated headphones" in words
    assert "On a calibrated device" not in words


async def test_a_grade_of_a_mean_that_may_lie_higher_may_be_a_greater_one(anna: Person) -> None:
    await submit_test(anna, 80, 80)
    assert "“Profound hearing loss”, or a greater loss." in (await anna.get("results")).document.words


async def test_earlier_tests_are_listed_by_date_and_mean_the_newest_first(anna: Person) -> None:
    for days_ago, level in ((400, 80), (30, 35), (0, 40)):
        await submit_test(anna, level, 85, days_ago=days_ago)
    cells = (await anna.get("results")).document.cells[-6:]
    a_month_ago, a_year_ago = (NOW - dt.timedelta(days=days) for days in (30, 400))
    assert cells[0].startswith(f"{a_month_ago.day} ")
    assert f" {a_month_ago.year}, " in cells[0]
    assert f" {a_year_ago.year}, " in cells[3]
    assert cells[1::3] == ["35 dB HL", "at least 80 dB HL"]


async def test_at_most_ten_earlier_tests_are_listed(anna: Person) -> None:
    for days_ago in reversed(range(13)):
        await submit_test(anna, 5 * days_ago, 85, days_ago=days_ago)
    cells = (await anna.get("results")).document.cells
    assert [cell for cell in cells if cell.endswith(" dB HL")] == [f"{5 * days} dB HL" for days in range(1, 11)]


async def test_the_first_result_explains_how_to_compare(anna: Person) -> None:
    await submit_test(anna, 10, 10)
    assert "This is your first test" in (await anna.get("results")).document.words
    await submit_test(anna, 10, 10)
    words = (await anna.get("results")).document.words
    assert "This is your first test" not in words
    assert "with the same headphones, at the same volume" in words
