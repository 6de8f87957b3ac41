"""The median hearing thresholds for an age: an estimate, never the result of a test."""

from collections.abc import Iterator
from typing import Final

import attrs

from ..builtin_types import as_int, as_str
from ..errors import InvalidInputError
from .results import FREQUENCIES

YOUNGEST: Final = 18
OLDEST: Final = 70

_MALE: Final = (0.0030, 0.0035, 0.0040, 0.0070, 0.0160, 0.0220)
_FEMALE: Final = (0.0030, 0.0035, 0.0040, 0.0060, 0.0090, 0.0150)
_EITHER: Final = tuple((male + female) / 2 for male, female in zip(_MALE, _FEMALE, strict=True))
_COEFFICIENTS: Final = {"male": _MALE, "female": _FEMALE, "intersex": _EITHER, None: _EITHER}
"""The coefficients a of ISO 7029:2000, table 1, in dB per year squared, in order of `FREQUENCIES`."""


@attrs.frozen(kw_only=True)
class Estimate:
    """The median thresholds of otologically normal people of an age and sex. `typical_for` computes it.

    It says nothing about the ears of one person, so a `HearingTestResult` can't hold it.

    Attributes:
        age: In years.
        sex: "female", "male", "intersex" or None.
        is_beyond_range: Whether the age is above 70, where the standard ends: the levels are those of 70.
        levels: The medians in dB HL, in order of `FREQUENCIES`.
    """

    age: int = attrs.field(repr=False)
    sex: str | None = attrs.field(repr=False)
    is_beyond_range: bool = attrs.field(repr=False)
    levels: tuple[float, ...] = attrs.field(repr=False)

    @property
    def reference_age(self) -> int:
        """The age of these medians: the person's, or 70, where the standard ends."""
        return min(self.age, OLDEST)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        """Yield (frequency in Hz, median threshold in dB HL), low frequencies first."""
        return iter(zip(FREQUENCIES, self.levels, strict=True))


def typical_for(age: int, sex: str | None = None) -> Estimate:
    """Return the median thresholds for an age: a · (age - 18)² dB HL, with a for each frequency and sex.

    By ISO 7029:2000, which may be restated freely; the tables of the 2017 edition are licensed. For "intersex" and
    None, which the standard does not define, a is the mean of the two. An age above 70 is estimated as 70.

    Raises:
        InvalidInputError: The age is below 18 or not a whole number, or the sex is unknown.
    """
    exact_age, exact_sex = as_int(age), as_str(sex)
    if exact_age is None or exact_age < YOUNGEST:
        msg = f"an estimate is for a whole number of years, {YOUNGEST} or more"
        raise InvalidInputError(msg)
    if (sex is not None and exact_sex is None) or exact_sex not in _COEFFICIENTS:
        msg = 'sex is "female", "male", "intersex" or None'
        raise InvalidInputError(msg)
    years = min(exact_age, OLDEST) - YOUNGEST
    levels = tuple(a * years**2 for a in _COEFFICIENTS[exact_sex])
    return Estimate(age=exact_age, sex=exact_sex, is_beyond_range=exact_age > OLDEST, levels=levels)
