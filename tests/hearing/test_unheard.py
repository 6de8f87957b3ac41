"""A test without a response in either ear has no result; without a response in one ear it has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimi_async.hearing.results import FREQUENCIES
from mimi_async.hearing.staircase import Ear, Outcome, Staircase

from .listeners import Guesser, Listener, flat, take

SEEDS = st.binary(min_size=16, max_size=16)


@given(SEEDS)
def test_a_test_without_any_response_has_no_result(seed: bytes) -> None:
    end = take(Staircase.begin(seed), Guesser(rate=0))
    assert (end.outcome, end.presentation, end.progress) == (Outcome.UNHEARD, None, 1.0)
    assert len(end.answers) <= 58


@given(SEEDS, st.integers(0, 40), st.sampled_from(Ear))
def test_one_press_that_nothing_confirms_is_not_hearing(seed: bytes, position: int, ear: Ear) -> None:
    staircase, tones = Staircase.begin(seed), 0
    while (shown := staircase.presentation) is not None:
        tones += shown.ear is ear and shown.level is not None
        staircase = staircase.answer(heard=shown.level is not None and shown.ear is ear and tones == position)
    assert staircase.outcome is Outcome.UNHEARD


@pytest.mark.parametrize("deaf", Ear)
@given(SEEDS, st.floats(-10, 80, allow_subnormal=False))
def test_an_ear_without_any_response_beside_one_that_hears_is_measured_at_the_highest_level(
    deaf: Ear, seed: bytes, level: float
) -> None:
    ears = {ear: flat(200 if ear is deaf else level) for ear in Ear}
    end = take(Staircase.begin(seed), Listener(right=ears[Ear.RIGHT], left=ears[Ear.LEFT]))
    assert end.outcome is Outcome.MEASURED
    assert set(end.measured[deaf].levels) == {80}


@given(SEEDS, st.sampled_from(Ear), st.sampled_from(FREQUENCIES))
def test_a_response_at_one_frequency_is_enough_for_a_result(seed: bytes, ear: Ear, frequency: int) -> None:
    hearing = {**flat(200), frequency: 80}
    listener = Listener(**{each: hearing if each is ear else flat(200) for each in Ear})
    end = take(Staircase.begin(seed), listener)
    assert end.outcome is Outcome.MEASURED
    assert {level for audiogram in end.measured.values() for level in audiogram.levels} == {80}
