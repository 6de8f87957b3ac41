"""What people of an age hear at the median, by ISO 7029:2000."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimi_async.errors import InvalidInputError
from mimi_async.hearing.estimate import Estimate, typical_for
from mimi_async.hearing.results import FREQUENCIES, HearingTestResult

SEXES = st.sampled_from(["female", "male", "intersex", None])


@pytest.mark.parametrize(
    ("age", "sex", "levels"),
    [
        (28, "male", (0.30, 0.35, 0.40, 0.70, 1.60, 2.20)),
        (28, "female", (0.30, 0.35, 0.40, 0.60, 0.90, 1.50)),
        (28, None, (0.30, 0.35, 0.40, 0.65, 1.25, 1.85)),
        (60, "male", (5.292, 6.174, 7.056, 12.348, 28.224, 38.808)),
        (70, "female", (8.112, 9.464, 10.816, 16.224, 24.336, 40.560)),
    ],
)
def test_the_medians_are_those_of_the_standard(age: int, sex: str | None, levels: tuple[float, ...]) -> None:
    estimate = typical_for(age, sex)
    assert estimate.levels == pytest.approx(levels)
    assert dict(estimate) == dict(zip(FREQUENCIES, estimate.levels, strict=True))


@given(SEXES)
def test_the_median_at_18_is_zero_by_definition(sex: str | None) -> None:
    assert typical_for(18, sex).levels == (0,) * 6


@given(st.integers(18, 69), SEXES)
def test_hearing_declines_with_age_and_more_at_high_frequencies(age: int, sex: str | None) -> None:
    younger, older = typical_for(age, sex).levels, typical_for(age + 1, sex).levels
    assert all(low < high for low, high in zip(younger, older, strict=True))
    assert list(older) == sorted(older)


@given(st.integers(18, 100))
def test_without_a_sex_or_for_intersex_it_is_the_mean(age: int) -> None:
    male, female = typical_for(age, "male").levels, typical_for(age, "female").levels
    mean = pytest.approx([(one + other) / 2 for one, other in zip(male, female, strict=True)])
    assert typical_for(age).levels == typical_for(age, "intersex").levels == mean


def test_above_70_it_is_the_value_of_70_and_says_so() -> None:
    assert [typical_for(age).is_beyond_range for age in (18, 70, 71, 126)] == [False, False, True, True]
    assert [typical_for(age).reference_age for age in (18, 70, 71, 126)] == [18, 70, 70, 70]
    assert typical_for(71, "male").levels == typical_for(126, "male").levels == typical_for(70, "male").levels
    assert typical_for(71).age == 71


@pytest.mark.parametrize("age", [17, 0, -1, 30.0, "30", None, True])
def test_an_age_is_18_or_more(age: int) -> None:
    with pytest.raises(InvalidInputError, match="a whole number of years, 18 or more"):
        typical_for(age)


@pytest.mark.parametrize("sex", ["", "Female", "f", 1, [], True])
def test_an_unknown_sex_is_refused(sex: str) -> None:
    with pytest.raises(InvalidInputError, match='sex is "female", "male", "intersex" or None'):
        typical_for(30, sex)


@pytest.mark.parametrize("ear", ["left", "right"])
def test_an_estimate_can_not_pass_for_a_test(ear: str) -> None:
    ears: dict[str, object] = {side: dict.fromkeys(FREQUENCIES, 10) for side in ("left", "right")}
    ears[ear] = typical_for(50)
    with pytest.raises(InvalidInputError, match="an audiogram needs"):
        HearingTestResult(taken_at=dt.datetime.now(dt.UTC), calibrated=False, **ears)  # type: ignore[arg-type]


def test_a_repr_holds_no_value() -> None:
    assert repr(typical_for(50, "female")) == "Estimate()"
    assert isinstance(typical_for(50), Estimate)
