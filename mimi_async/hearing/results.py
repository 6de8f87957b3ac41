"""The result of a hearing test: thresholds per ear, and their WHO grade."""

import datetime as dt
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import cast

import attrs

from ..builtin_types import as_number
from ..errors import InvalidInputError

FREQUENCIES = (250, 500, 1000, 2000, 4000, 8000)
"""The frequencies in Hz that an audiogram must hold, for each ear."""

LEVELS = (-10.0, 120.0)
"""The lowest and the highest threshold in dB HL that an audiogram may hold."""

SPEECH = (500, 1000, 2000, 4000)
"""The frequencies in Hz of the WHO's mean of an ear."""


class Grade(StrEnum):
    """A grade of hearing loss: World report on hearing (WHO, 2021), table 1.3."""

    NORMAL = "normal"
    MILD = "mild"
    MODERATE = "moderate"
    MODERATELY_SEVERE = "moderately severe"
    SEVERE = "severe"
    PROFOUND = "profound"
    COMPLETE = "complete or total"
    UNILATERAL = "unilateral"


_UPPER_BOUNDS = (
    (20, Grade.NORMAL),
    (35, Grade.MILD),
    (50, Grade.MODERATE),
    (65, Grade.MODERATELY_SEVERE),
    (80, Grade.SEVERE),
    (95, Grade.PROFOUND),
)

_UNILATERAL_MIN = 35
"""The lowest mean in dB HL of the worse ear for a unilateral loss, where the better ear hears normally."""


def _levels(points: "Mapping[int, float] | Audiogram") -> tuple[float, ...]:
    if type(points) is Audiogram:
        return points.levels
    pairs = points.items() if isinstance(points, Mapping) else points if isinstance(points, Audiogram) else ()
    levels = {as_number(frequency): as_number(level) for frequency, level in pairs}
    if levels.keys() != set(FREQUENCIES):
        msg = f"an audiogram needs a threshold at each of {', '.join(map(str, FREQUENCIES))} Hz and nowhere else"
        raise InvalidInputError(msg)
    return tuple(_level(levels[frequency]) for frequency in FREQUENCIES)


def _level(level: float | None) -> float:
    low, high = LEVELS
    if level is not None and low <= level <= high:
        return level
    msg = f"a threshold is a number from {low:g} to {high:g} dB HL"
    raise InvalidInputError(msg)


@attrs.frozen(repr=False)
class Audiogram:
    """The hearing thresholds of one ear.

    Args:
        levels: A threshold in dB HL, -10 to 120, for each of 250, 500, 1000, 2000, 4000 and 8000 Hz:
            `Audiogram({250: 10, 500: 5, …})`. Stored as a tuple in ascending order of frequency.

    Raises:
        InvalidInputError: A frequency is missing or unknown, or a threshold is out of range.
    """

    levels: tuple[float, ...] = attrs.field(converter=_levels)

    def __getitem__(self, frequency: int) -> float:
        return self.levels[FREQUENCIES.index(frequency)]

    def __iter__(self) -> Iterator[tuple[int, float]]:
        """Yield (frequency in Hz, threshold in dB HL), low frequencies first."""
        return iter(zip(FREQUENCIES, self.levels, strict=True))

    @property
    def mean(self) -> float:
        """The mean threshold in dB HL over the frequencies of speech: 500, 1000, 2000 and 4000 Hz."""
        return sum(self[hz] for hz in SPEECH) / len(SPEECH)

    def __repr__(self) -> str:
        """Show no health data: reprs end in logs."""
        return "Audiogram(…)"


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _utc(moment: object) -> dt.datetime:
    """Return the moment in UTC, as a `datetime` and not a subclass."""
    try:
        return _EPOCH + dt.datetime.__sub__(cast("dt.datetime", moment), _EPOCH)
    except OverflowError:
        msg = "taken_at must be a time from the year 1 to the year 9999 in UTC"
    except (TypeError, ValueError):  # not a datetime, without a time zone, or with a time zone that fails
        msg = "taken_at must be a datetime with a time zone, such as datetime.now(timezone.utc)"
    raise InvalidInputError(msg)


def _flag(value: object) -> bool:
    if value is True or value is False:
        return value
    msg = "calibrated must be True or False"
    raise InvalidInputError(msg)


def _audiogram(value: Audiogram | Mapping[int, float]) -> Audiogram:
    return value if type(value) is Audiogram else Audiogram(value)


@attrs.frozen(kw_only=True, repr=False)
class HearingTestResult:
    """One hearing test of both ears. Personal health data: handle it as such.

    Attributes:
        taken_at: The time of the test, with a time zone; stored in UTC.
        calibrated: Whether the transducer was calibrated. A result from a browser is not.
        left: The left ear.
        right: The right ear.
        id: The server's id of the test; None before it is submitted.

    Raises:
        InvalidInputError: The time has no time zone, or an ear is not an audiogram.
    """

    taken_at: dt.datetime = attrs.field(converter=_utc)
    calibrated: bool = attrs.field(converter=_flag)
    left: Audiogram = attrs.field(converter=_audiogram)
    right: Audiogram = attrs.field(converter=_audiogram)
    id: str | None = None

    @property
    def better_ear_mean(self) -> float:
        """The mean threshold in dB HL over 500, 1000, 2000 and 4000 Hz, of the ear where it is lower."""
        return min(self.left.mean, self.right.mean)

    @property
    def worse_ear_mean(self) -> float:
        """The mean threshold in dB HL over the same frequencies, of the ear where it is higher."""
        return max(self.left.mean, self.right.mean)

    @property
    def grade(self) -> Grade:
        """The WHO 2021 grade: of the better ear, or unilateral where only that ear hears normally. Not a diagnosis."""
        mean = self.better_ear_mean
        grade = next((grade for bound, grade in _UPPER_BOUNDS if mean < bound), Grade.COMPLETE)
        is_unilateral = grade is Grade.NORMAL and self.worse_ear_mean >= _UNILATERAL_MIN
        return Grade.UNILATERAL if is_unilateral else grade

    def __repr__(self) -> str:
        """Show no health data: reprs end in logs."""
        return f"HearingTestResult(id={self.id!r}, …)"
