"""One attempt at one ear: the order, where searches begin, the silences, the retest and what makes it unreliable."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from mimi_async.hearing.attempt import Attempt, Ear
from mimi_async.hearing.threshold import Limits

SEEDS = [bytes([number]) * 16 for number in range(40)]
SEED = SEEDS[0]


def begin(seed: bytes = SEED, *, ear: Ear = Ear.RIGHT, number: int = 1) -> Attempt:
    return Attempt.begin(seed, Limits(), ear, number)


def measure(*thresholds: float, seed: bytes = SEED, alarms: int = 0) -> list[Attempt]:
    """All states of an attempt whose successive searches find these thresholds, with false alarms first."""
    states = [begin(seed)]
    while not states[-1].is_unreliable and states[-1].audiogram is None:
        now = states[-1]
        hears = now.search.level >= thresholds[len(now.thresholds)]
        states.append(now.answer(heard=now.false_alarms < alarms if now.is_catch_trial else hears))
    return states


def silences(attempt: Attempt, *, hears: bool = True) -> list[int]:
    """The positions of the catch trials, where either all tones are heard or none."""
    positions = []
    while attempt.audiogram is None:
        if attempt.is_catch_trial:
            positions.append(attempt.presented)
        attempt = attempt.answer(heard=hears and not attempt.is_catch_trial)
    return positions


def searches(states: list[Attempt]) -> Iterator[Attempt]:
    """The states in which a search begins, the first of each."""
    known = -1
    for state in states[:-1]:
        if len(state.thresholds) > known:
            known = len(state.thresholds)
            yield state


def test_the_order_begins_and_ends_at_1000_hz() -> None:
    order = [state.presentation.frequency for state in searches(measure(10, 10, 10, 10, 10, 10, 10))]
    assert order == [1000, 2000, 4000, 8000, 500, 250, 1000]


def test_a_search_begins_ten_above_the_nearest_frequency_that_is_known() -> None:
    states = measure(10, 35, 60, 75, 20, -5, 40, 25)
    assert [state.search.level for state in searches(states)] == [30, 20, 45, 70, 20, 30, 20, 20]


def test_an_audiogram_holds_each_threshold_at_its_frequency() -> None:
    audiogram = measure(10, 35, 60, 75, 20, -5, 10)[-1].audiogram
    assert audiogram is not None
    assert dict(audiogram) == {250: -5, 500: 20, 1000: 10, 2000: 35, 4000: 60, 8000: 75}


@pytest.mark.parametrize(
    ("at_1000", "settled"),
    [((20, 20), 20), ((20, 25), 20), ((25, 20), 20), ((20, 30, 25), 25), ((30, 20, 10), 20), ((20, 60, 65), 60)],
)
def test_two_thresholds_at_1000_hz_that_agree_give_the_better_and_else_three_their_median(
    at_1000: tuple[int, ...], settled: int
) -> None:
    first, *others = at_1000
    end = measure(first, 20, 20, 20, 20, 20, *others)[-1]
    assert end.audiogram is not None
    assert end.audiogram[1000] == settled
    assert len(end.thresholds) == 5 + len(at_1000)


@pytest.mark.parametrize(("third", "unreliable"), [(40, False), (45, True), (55, True), (60, False)])
def test_three_thresholds_at_1000_hz_of_which_no_two_are_near_are_unreliable(third: int, unreliable: bool) -> None:
    end = measure(30, 20, 20, 20, 20, 20, 70, third)[-1]
    assert end.is_unreliable == unreliable


def test_a_failed_search_is_unreliable() -> None:
    attempt = begin()
    while not attempt.is_unreliable:
        heard, missed = attempt.answer(heard=True), attempt.answer(heard=False)
        attempt = missed if heard.thresholds or attempt.is_catch_trial else heard
    assert attempt.search.has_failed
    assert attempt.audiogram is None


@pytest.mark.parametrize("seed", SEEDS)
def test_one_silence_that_was_heard_is_a_slip_and_the_second_is_not(seed: bytes) -> None:
    twenty = [20] * 7
    assert [measure(*twenty, seed=seed, alarms=alarms)[-1].is_unreliable for alarms in (0, 1, 2)] == [
        False,
        False,
        True,
    ]
    states = measure(*twenty, seed=seed, alarms=2)
    assert states[-2].false_alarms == 1, "it ends at once"


def test_a_silence_changes_neither_the_level_nor_the_search() -> None:
    states = measure(*[20] * 7)
    silent = [(now, after) for now, after in pairwise(states) if now.is_catch_trial]
    assert silent
    for now, after in silent:
        assert now.presentation.level is None
        assert (after.search, after.thresholds) == (now.search, now.thresholds)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_in_nine_presentations_is_silent_and_never_the_first(seed: bytes) -> None:
    positions = silences(begin(seed))
    assert [position // 9 for position in positions[:3]] == [0, 1, 2]
    assert len({position // 9 for position in positions}) == len(positions)
    assert positions[0] > 0


def test_a_silence_may_be_anywhere_in_its_nine() -> None:
    drawn = [position % 9 for seed in SEEDS for position in silences(begin(seed))]
    assert all(drawn.count(position) > len(drawn) / 20 for position in range(9))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_places_of_the_silences_do_not_depend_on_the_answers(seed: bytes) -> None:
    assert silences(begin(seed), hears=True)[:3] == silences(begin(seed), hears=False)[:3]


def test_each_seed_ear_and_attempt_has_other_places_of_its_silences() -> None:
    attempts = [begin(seed, ear=ear, number=number) for seed in SEEDS for ear in Ear for number in (1, 2)]
    positions = [tuple(silences(attempt)) for attempt in attempts]
    assert len(set(positions)) > len(positions) * 0.8
    for step in (1, 2, 4):
        assert sum(one == other for one, other in zip(positions, positions[step:], strict=False)) < 5


@pytest.mark.parametrize("level", [-10, 0, 20, 75, 80, 90])
def test_each_ear_has_several_silences(level: int) -> None:
    for seed in SEEDS:
        assert sum(state.is_catch_trial for state in measure(*[level] * 7, seed=seed)[:-1]) >= 3


def test_progress_does_not_fall_though_a_third_threshold_at_1000_hz_is_needed() -> None:
    progress = [state.progress for state in measure(10, 20, 20, 20, 20, 20, 30, 20)]
    assert progress == sorted(progress)
    assert (progress[0], progress[-2], progress[-1]) == (0, 7 / 8, 1)
