"""What people of an age hear at the median: no test, and never to be taken for one."""

from collections.abc import Iterator
from typing import Final

import attrs

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
    """The median thresholds of otologically normal people of an age and sex. Made by `typical_for`.

    It says nothing about one person's ears, so it is no `Audiogram` and no `HearingTestResult` can hold it.

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
        """The age whose medians these are: the person's, or 70, where the standard ends."""
        return min(self.age, OLDEST)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        """Yield (frequency in Hz, median threshold in dB HL), low frequencies first."""
        return iter(zip(FREQUENCIES, self.levels, strict=True))


def typical_for(age: int, sex: str | None = None) -> Estimate:
    """Return the median thresholds for an age: a · (age - 18)² dB HL, with a for each frequency and sex.

    By ISO 7029:2000, which is free to restate: the tables of the 2017 edition are licensed. For "intersex" and None,
    which the standard doesn't know, a is the mean of the two. An age above 70 is estimated as 70.

    Raises:
        InvalidInputError: The age is below 18 or no whole number, or the sex is unknown.
    """
    if not isinstance(age, int) or isinstance(age, bool) or age < YOUNGEST:
        msg = f"an estimate is for a whole number of years, {YOUNGEST} or more"
        raise InvalidInputError(msg)
    if not (sex is None or isinstance(sex, str)) or sex not in _COEFFICIENTS:
        msg = 'sex is "female", "male", "intersex" or None'
        raise InvalidInputError(msg)
    years = min(age, OLDEST) - YOUNGEST
    levels = tuple(a * years**2 for a in _COEFFICIENTS[sex])
    return Estimate(age=age, sex=sex, is_beyond_range=age > OLDEST, levels=levels)
