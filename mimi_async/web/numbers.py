"""What a hearing test says in numbers, and where it says no more than "at least"."""

from typing import Final

import attrs

from ..hearing.results import FREQUENCIES, SPEECH, Audiogram, HearingTestResult
from ..hearing.staircase import Limits

LOUDEST: Final = Limits().highest
"""The loudest tone of the pages' test in dB HL. A threshold there, or above what is played: they look alike."""


@attrs.frozen(repr=False)
class Level:
    """A threshold, or a mean of thresholds.

    Attributes:
        value: In dB HL.
        is_least: Whether it may lie higher.
    """

    value: float
    is_least: bool = False


def levels(test: HearingTestResult, ear: Audiogram) -> dict[int, Level]:
    """Return the thresholds of an ear by frequency in Hz, low ones first."""
    return {hz: Level(level, not test.calibrated and level == LOUDEST) for hz, level in ear}


def better_mean(test: HearingTestResult) -> Level:
    """Return the mean over the frequencies of speech of the better ear."""
    return min((_mean(test, ear) for ear in (test.left, test.right)), key=_order)


def worse_mean(test: HearingTestResult) -> Level:
    """Return that of the other ear."""
    return max((_mean(test, ear) for ear in (test.left, test.right)), key=_order)


def is_limited(test: HearingTestResult) -> bool:
    """Tell whether any threshold may lie higher."""
    return any(levels(test, ear)[hz].is_least for ear in (test.left, test.right) for hz in FREQUENCIES)


def _mean(test: HearingTestResult, ear: Audiogram) -> Level:
    found = levels(test, ear)
    return Level(ear.mean, any(found[hz].is_least for hz in SPEECH))


def _order(level: Level) -> tuple[float, bool]:
    return level.value, level.is_least
