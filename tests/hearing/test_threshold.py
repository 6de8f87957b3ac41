"""One threshold: where a search goes after each answer, what it finds, and that it ends."""

import itertools
import math

import pytest

from mimi_async.errors import InvalidInputError
from mimi_async.hearing.threshold import MAX_PRESENTATIONS, Limits, Search

from ..conftest import rounds

LIMITS = Limits(lowest=-10, highest=80)
WIDEST = Limits(lowest=-10, highest=120)


def run_search(search: Search, answers: str) -> tuple[list[float], float | None]:
    """The levels that were presented for these answers, + and -, and what was found after the last of them."""
    levels = []
    for answer in answers:
        assert search.threshold is None, "the search was over before"
        levels.append(search.level)
        search = search.answer(heard=answer == "+")
    return levels, search.threshold


def test_familiarisation_rises_in_large_steps_until_a_tone_is_heard() -> None:
    levels, _ = run_search(Search.start_familiarizing(LIMITS), "---+-+")
    assert levels == [30, 50, 60, 70, 60, 65]


def test_a_first_tone_that_is_heard_ends_familiarisation() -> None:
    levels, _ = run_search(Search.start_familiarizing(LIMITS), "+-+")
    assert levels == [30, 20, 25]


def test_what_is_heard_in_familiarisation_is_no_ascent() -> None:
    levels, found = run_search(Search.start_familiarizing(LIMITS), "-+--+")
    assert (levels, found) == ([30, 50, 40, 45, 50], None)


def test_a_later_search_begins_ten_above_a_threshold_and_rises_by_five() -> None:
    levels, _ = run_search(Search.start_near(20, LIMITS), "---+")
    assert levels == [30, 35, 40, 45]


def test_a_search_begins_at_most_at_the_highest_level() -> None:
    assert Search.start_near(75, LIMITS).level == 80


@pytest.mark.parametrize(
    ("answers", "levels", "found"),
    [
        ("+-+--+", [50, 40, 45, 35, 40, 45], 45),
        ("+-+---+-+", [50, 40, 45, 35, 40, 45, 50, 40, 45], 45),
        ("+-+---+--+", [50, 40, 45, 35, 40, 45, 50, 40, 45, 50], 50),
        ("++--+", [50, 40, 30, 35, 40], None),
        ("+--+-+----++--+", [50, 40, 45, 50, 40, 45, 35, 40, 45, 50, 55, 45, 35, 40, 45], 45),
        ("+-+---+---++--+", [50, 40, 45, 35, 40, 45, 50, 40, 45, 50, 55, 45, 35, 40, 45], None),
    ],
    ids=["two", "two of three", "one of three", "coming down", "of the last three", "too long ago"],
)
def test_a_threshold_is_what_was_heard_in_two_of_the_last_three_ascents(
    answers: str, levels: list[float], found: float | None
) -> None:
    assert run_search(Search.start_near(40, LIMITS), answers) == (levels, found)


def test_at_the_lowest_level_hearing_it_again_counts_as_an_ascent() -> None:
    assert run_search(Search.start_near(0, LIMITS), "++++") == ([10, 0, -10, -10], None)
    assert run_search(Search.start_near(0, LIMITS), "+++++") == ([10, 0, -10, -10, -10], -10)


def test_the_lowest_level_is_reached_though_it_is_nearer_than_ten() -> None:
    assert run_search(Search.start_near(5, LIMITS), "+++") == ([15, 5, -5], None)
    assert run_search(Search.start_near(5, LIMITS), "+++-")[0] == [15, 5, -5, -10]


def test_two_of_three_not_heard_at_the_highest_level_is_no_response() -> None:
    assert run_search(Search.start_near(70, LIMITS), "--") == ([80, 80], None)
    assert run_search(Search.start_near(70, LIMITS), "---") == ([80, 80, 80], 80)
    assert run_search(Search.start_near(65, LIMITS), "--") == ([75, 80], None)
    assert run_search(Search.start_near(65, LIMITS), "--+---") == ([75, 80, 80, 70, 75, 80], 80)


def test_no_response_at_all_is_the_highest_level() -> None:
    assert run_search(Search.start_familiarizing(LIMITS), "-------") == ([30, 50, 60, 70, 80, 80, 80], 80)


def run_with_lapse(search: Search, threshold: float, lapse: int | None = None) -> Search:
    """Run a search to its end, with one wrong answer."""
    while search.threshold is None and not search.has_failed:
        search = search.answer(heard=(search.level >= threshold) != (search.presented == lapse))
    return search


def test_one_wrong_answer_anywhere_changes_no_threshold() -> None:
    levels = range(-10, 121, rounds(10, 5))
    starts = [Search.start_familiarizing(WIDEST), *(Search.start_near(start, WIDEST) for start in levels)]
    longest = 0
    for start, threshold in itertools.product(starts, levels):
        ends = [run_with_lapse(start, threshold, lapse) for lapse in (None, *range(32))]
        assert {end.threshold for end in ends} == {threshold}
        longest = max(longest, *(end.presented for end in ends))
    assert longest == 31


def test_answers_that_contradict_each_other_end_in_a_failed_search() -> None:
    search = Search.start_near(20, LIMITS)
    while not search.has_failed:
        heard, missed = search.answer(heard=True), search.answer(heard=False)
        search = heard if heard.threshold is None else missed
        assert search.threshold is None
    assert search.presented == MAX_PRESENTATIONS == 40


def test_a_threshold_found_with_the_last_tone_is_not_lost() -> None:
    search = Search.start_near(20, LIMITS)
    while search.presented < MAX_PRESENTATIONS - 1:
        heard = search.answer(heard=True)
        search = heard if heard.threshold is None else search.answer(heard=False)
    ends = [search.answer(heard=heard) for heard in (True, False)]
    assert [end.has_failed for end in ends] == [end.threshold is None for end in ends] == [False, True]


@pytest.mark.parametrize("level", [-15, 125, 3, 2.5, math.nan, math.inf, "10", None, True, False])
def test_a_limit_is_a_level_of_the_grid(level: float) -> None:
    with pytest.raises(InvalidInputError, match="a limit is a multiple of 5 from -10 to 120 dB HL"):
        Limits(lowest=level)
    with pytest.raises(InvalidInputError, match="a limit is a multiple of 5 from -10 to 120 dB HL"):
        Limits(highest=level)


@pytest.mark.parametrize("limits", [{"lowest": 25}, {"highest": 45}, {"lowest": 80, "highest": 0}])
def test_the_limits_leave_room_for_familiarisation(limits: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match="the lowest level is at most 20 dB HL and the highest at least 50"):
        Limits(**limits)


def test_the_narrowest_limits_are_limits() -> None:
    assert Limits(lowest=20, highest=50) == Limits(lowest=20.0, highest=50.0)


def test_a_repr_holds_no_level() -> None:
    assert "level" not in repr(Search.start_near(75, WIDEST))
