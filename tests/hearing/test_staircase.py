"""The whole test: what it measures of people whose thresholds are known, that it ends, and that it can be replayed."""

import itertools
import math
from collections.abc import Iterable
from random import Random
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimi_async.errors import InvalidInputError
from mimi_async.hearing.staircase import MAX_PRESENTATIONS, Ear, Limits, Outcome, Presentation, Staircase
from tests.conftest import rounds

from .listeners import (
    BISGAARD_NAMES,
    SEARCHES,
    Guesser,
    LapsingListener,
    Listener,
    SlippingListener,
    bisgaard,
    flat,
    take,
    thresholds,
)

SEED = bytes(range(16))
WIDEST = Limits(lowest=-10, highest=120)
SEEDS = st.binary(min_size=16, max_size=16)
EARS = thresholds(-10, 120)
SLIPS = st.lists(st.integers(0, 31), min_size=SEARCHES, max_size=SEARCHES)
ANSWERS = st.lists(st.booleans(), max_size=200)

LONGEST_WITH_SLIPS = SEARCHES * 31 * 9 // 8
"""31 tones are the longest search with one wrong answer (see test_threshold), and a ninth is silent."""


def replay_while_running(seed: bytes, answers: Iterable[bool]) -> Staircase:
    """The test after these answers, or as many of them as it takes."""
    staircase = Staircase.begin(seed)
    for heard in answers:
        if staircase.presentation is None:
            break
        staircase = staircase.answer(heard=heard)
    return staircase


def assert_measured(staircase: Staircase, listener: Listener) -> None:
    """Each threshold is the first step of 5 dB at which the listener hears."""
    assert staircase.outcome is Outcome.MEASURED
    assert set(staircase.measured) == set(Ear)
    for ear, audiogram in staircase.measured.items():
        for hz, level in audiogram:
            assert level == 5 * math.ceil(listener.of(ear)[hz] / 5)
    assert len(staircase.answers) <= LONGEST_WITH_SLIPS


@settings(max_examples=rounds(50, 5_000))
@given(SEEDS, EARS, EARS)
def test_measures_a_listener_without_slips(seed: bytes, right: dict[int, float], left: dict[int, float]) -> None:
    listener = Listener(right=right, left=left)
    assert_measured(take(Staircase.begin(seed, WIDEST), listener), listener)


@settings(max_examples=rounds(100, 10_000))
@given(SEEDS, EARS, EARS, SLIPS, st.integers(0, 9))
def test_one_slip_in_each_search_and_in_a_catch_trial_of_each_ear_changes_nothing(
    seed: bytes, right: dict[int, float], left: dict[int, float], slips: list[int], alarm: int
) -> None:
    listener = SlippingListener(right=right, left=left, slips=slips, alarm=alarm)
    assert_measured(take(Staircase.begin(seed, WIDEST), listener), listener)


@pytest.mark.parametrize("name", BISGAARD_NAMES)
@settings(max_examples=rounds(10, 1_000))
@given(SEEDS, st.floats(-10, 120, allow_subnormal=False), SLIPS, st.integers(0, 9))
def test_measures_the_standard_audiograms(name: str, seed: bytes, at_8000: float, slips: list[int], alarm: int) -> None:
    ear = bisgaard(name, at_8000=at_8000)
    for listener in (
        Listener(right=ear, left=flat(10)),
        SlippingListener(right=flat(10), left=ear, slips=slips, alarm=alarm),
    ):
        assert_measured(take(Staircase.begin(seed, WIDEST), listener), listener)


def test_measures_99_in_100_points_within_5_db_at_3_lapses_in_100_answers() -> None:
    random, errors = Random(7029), []
    for _ in range(rounds(150, 5_000)):
        base = random.choice([0, 10, 20, 40, 60])
        right, left = ({hz: base + random.uniform(-10, 20) for hz in flat(0)} for _ in Ear)
        listener = LapsingListener(right=right, left=left, rate=0.03, random=random)
        staircase = take(Staircase.begin(random.randbytes(16)), listener)
        for ear, audiogram in staircase.measured.items():
            errors += [abs(level - listener.of(ear)[hz]) for hz, level in audiogram]
    assert len(errors) > 1_700
    assert sum(error <= 5 for error in errors) / len(errors) >= 0.99


@given(SEEDS, st.integers(-10, 60))
def test_takes_at_most_140_presentations_for_a_flat_audiogram(seed: bytes, level: int) -> None:
    listener = Listener(right=flat(level), left=flat(level))
    assert len(take(Staircase.begin(seed), listener).answers) <= 140


def test_the_right_ear_comes_first_then_the_left() -> None:
    staircase = Staircase.begin(SEED)
    assert staircase.presentation == Presentation(ear=Ear.RIGHT, frequency=1000, level=30)
    end = take(staircase, Listener(right=flat(10), left=flat(40)))
    ears = [Staircase.replay(SEED, end.answers[:n]).presentation for n in range(len(end.answers))]
    assert [ear for ear, _ in itertools.groupby(shown.ear for shown in ears if shown)] == [Ear.RIGHT, Ear.LEFT]
    assert (end.measured[Ear.RIGHT][1000], end.measured[Ear.LEFT][1000]) == (10, 40)


@given(SEEDS)
def test_catch_trials_detect_a_listener_that_always_answers(seed: bytes) -> None:
    end = take(Staircase.begin(seed), Guesser(rate=1))
    assert (end.outcome, dict(end.measured)) == (Outcome.UNRELIABLE, {})
    assert len(end.answers) <= 36


def test_random_answers_hardly_ever_give_a_result() -> None:
    random = Random(8253)
    ends = [take(Staircase.begin(random.randbytes(16)), Guesser(rate=0.5, random=random)) for _ in range(300)]
    assert sum(end.outcome is Outcome.UNRELIABLE for end in ends) > 290
    assert median(len(end.answers) for end in ends) < 100


@given(SEEDS, st.randoms(use_true_random=False), st.floats(0, 1))
def test_whatever_is_answered_it_ends(seed: bytes, random: Random, rate: float) -> None:
    assert len(take(Staircase.begin(seed), Guesser(rate=rate, random=random)).answers) <= MAX_PRESENTATIONS


def test_the_longest_tests_known_stay_below_the_bound() -> None:
    longest = max(len(take_longest(bytes([number]) * 16).answers) for number in range(8))
    assert MAX_PRESENTATIONS * 0.5 < longest <= MAX_PRESENTATIONS == 1440


def take_longest(seed: bytes) -> Staircase:
    """Take a test: answer silences correctly, and tones so that each search ends as late as possible."""
    staircase, random = Staircase.begin(seed), Random(seed)
    while (attempt := staircase._attempt) is not None:  # its search is not public
        if attempt.is_catch_trial:
            staircase = staircase.answer(heard=False)
            continue
        ends = [attempt.search.answer(heard=heard).threshold is not None for heard in (False, True)]
        wanted = attempt.search.presented >= 32
        heard = ends[True] == wanted if ends[True] != ends[False] else random.random() < 0.5
        staircase = staircase.answer(heard=heard)
    return staircase


def answer_silences(*, right: int = 0, left: int = 0) -> list[Staircase]:
    """Return all states of a test in which the first silences of an ear, so many, are answered wrongly."""
    states, alarms = [Staircase.begin(SEED)], {Ear.RIGHT: right, Ear.LEFT: left}
    while (shown := states[-1].presentation) is not None:
        heard = shown.level is not None and shown.level >= 20
        if shown.level is None and alarms[shown.ear]:
            alarms[shown.ear] -= 1
            heard = True
        states.append(states[-1].answer(heard=heard))
    return states


def test_a_false_alarm_in_each_ear_is_a_slip() -> None:
    assert len(answer_silences(right=1, left=1)) == len(answer_silences())
    assert answer_silences(right=1, left=1)[-1].measured == answer_silences()[-1].measured


@pytest.mark.parametrize(("right", "left"), [(2, 0), (0, 2), (2, 2), (3, 3)])
def test_an_unreliable_ear_is_measured_once_more_from_its_beginning(right: int, left: int) -> None:
    states = answer_silences(right=right, left=left)
    again = [after for now, after in itertools.pairwise(states) if after.progress < now.progress]
    assert [now.presentation for now in again] == [
        Presentation(ear=ear, frequency=1000, level=30)
        for ear, alarms in ((Ear.RIGHT, right), (Ear.LEFT, left))
        if alarms
    ]
    assert states[-1].outcome is Outcome.MEASURED
    assert states[-1].measured == answer_silences()[-1].measured


def test_an_ear_that_is_unreliable_twice_ends_the_test() -> None:
    end = answer_silences(right=4)[-1]
    assert (end.outcome, end.presentation, end.progress, dict(end.measured)) == (Outcome.UNRELIABLE, None, 1.0, {})


def test_an_ear_that_is_done_is_kept_when_the_other_fails() -> None:
    end = answer_silences(left=4)[-1]
    assert end.outcome is Outcome.UNRELIABLE
    assert end.measured == {Ear.RIGHT: answer_silences()[-1].measured[Ear.RIGHT]}


@given(SEEDS, ANSWERS)
def test_what_was_measured_stays_and_progress_falls_only_where_an_ear_begins_again(
    seed: bytes, answers: list[bool]
) -> None:
    states = [Staircase.begin(seed)]
    for heard in answers:
        if states[-1].presentation is not None:
            states.append(states[-1].answer(heard=heard))
    for before, after in itertools.pairwise(states):
        assert before.measured.items() <= after.measured.items()
        assert 0 <= before.progress <= 1
        assert before.progress <= after.progress or after.presentation == Presentation(
            ear=Ear.LEFT if after.measured else Ear.RIGHT, frequency=1000, level=30
        )
    assert states[0].progress == 0
    assert all(
        (now.progress == 1) == (now.outcome is not Outcome.RUNNING) == (now.presentation is None) for now in states
    )


@given(SEEDS, ANSWERS, st.data())
def test_a_test_that_is_replayed_goes_on_as_if_it_had_not_been_interrupted(
    seed: bytes, answers: list[bool], data: st.DataObject
) -> None:
    whole = replay_while_running(seed, answers)
    cut = data.draw(st.integers(0, len(whole.answers)))
    resumed = Staircase.replay(seed, iter(whole.answers[:cut]))
    for heard in whole.answers[cut:]:
        resumed = resumed.answer(heard=heard)
    assert resumed == whole == Staircase.replay(seed, whole.answers)
    for one in (resumed, Staircase.replay(seed, whole.answers)):
        assert (one.presentation, one.progress, one.outcome) == (whole.presentation, whole.progress, whole.outcome)
        assert one.measured == whole.measured


def test_the_limits_are_kept_on_the_way() -> None:
    end = take(Staircase.begin(SEED, WIDEST), Guesser(rate=0))
    assert end.measured[Ear.LEFT].levels == (120,) * 6
    assert end == Staircase.replay(SEED, end.answers, WIDEST) != Staircase.replay(SEED, end.answers[:9])


def test_an_answer_makes_a_new_value() -> None:
    begun = Staircase.begin(SEED)
    assert begun.answer(heard=True) != begun == Staircase.replay(SEED, []) != Staircase.begin(bytes(16))
    assert hash(begun) == hash(Staircase.replay(SEED, []))
    with pytest.raises(AttributeError):
        begun.answers = (True,)  # type: ignore[misc]
    with pytest.raises(TypeError):
        answer_silences()[-1].measured[Ear.LEFT] = None  # type: ignore[index]


def test_no_repr_holds_health_data() -> None:
    end = take(Staircase.begin(SEED), Listener(right=flat(35), left=flat(35)))
    assert (repr(end), repr(Staircase.begin(SEED))) == ("Staircase(measured, …)", "Staircase(running, …)")
    assert "30" not in repr(Staircase.begin(SEED).presentation)


def test_a_test_that_has_ended_takes_no_more_answers() -> None:
    end = answer_silences()[-1]
    with pytest.raises(InvalidInputError, match=f"the test ended after {len(end.answers)} answers"):
        end.answer(heard=False)
    with pytest.raises(InvalidInputError, match=f"the test ended after {len(end.answers)} answers"):
        Staircase.replay(SEED, itertools.chain(end.answers, itertools.repeat(True)))


@pytest.mark.parametrize("answer", [None, 1, 0, "yes"])
def test_an_answer_is_yes_or_no(answer: bool) -> None:
    with pytest.raises(InvalidInputError, match=r"an answer is True \(heard\) or False"):
        Staircase.begin(SEED).answer(heard=answer)
    with pytest.raises(InvalidInputError, match=r"an answer is True \(heard\) or False"):
        Staircase.replay(SEED, [True, answer])


@pytest.mark.parametrize("seed", [b"", bytes(15), bytes(17), "0123456789abcdef", None, bytearray(16)])
def test_a_seed_is_16_bytes(seed: bytes) -> None:
    with pytest.raises(InvalidInputError, match=r"16 bytes, such as secrets\.token_bytes\(16\)"):
        Staircase.begin(seed)
