"""What the pages show of a hearing test: its levels, and the lines and marks of an audiogram, which a template draws.

The axes are those of audiometry (ISO 8253-1): frequency by octaves to the right, hearing level in dB HL downwards.
"""

from typing import Final, Literal

import attrs

from ..hearing.estimate import Estimate
from ..hearing.results import FREQUENCIES, LEVELS, SPEECH, Audiogram, HearingTestResult
from ..hearing.staircase import Limits

_INDENT: Final = 14
_QUIETEST: Final = LEVELS[0]
_DEFAULT_END: Final = 90
_TICKS: Final = (-10, 0, 20, 40, 60, 80, 100, 120)

_LOUDEST: Final = Limits().highest
"""The loudest tone of the pages' test in dB HL: a threshold at it and a threshold above it give the same result."""

Kind = Literal["right", "left", "typical"]


@attrs.frozen(repr=False)
class Level:
    """A threshold, or a mean of thresholds, in dB HL, and whether the true level may be higher."""

    value: float
    is_lower_bound: bool = False


def read_levels(test: HearingTestResult, ear: Audiogram) -> dict[int, Level]:
    """Return the thresholds of an ear by frequency in Hz, low frequencies first."""
    return {hz: Level(level, not test.calibrated and level == _LOUDEST) for hz, level in ear}


def compute_means(test: HearingTestResult) -> tuple[Level, Level]:
    """Return the means over the frequencies of speech: of the better ear, and of the worse ear."""
    better, worse = sorted(
        (_compute_mean(test, ear) for ear in (test.left, test.right)),
        key=lambda mean: (mean.value, mean.is_lower_bound),
    )
    return better, worse


def _compute_mean(test: HearingTestResult, ear: Audiogram) -> Level:
    levels = read_levels(test, ear)
    return Level(ear.mean, any(levels[hz].is_lower_bound for hz in SPEECH))


@attrs.frozen
class Frame:
    """The size of the drawing, and the edges of its grid. The labels are outside the grid."""

    width: float = 360
    height: float = 348
    left: float = 42
    right: float = 348
    top: float = 54
    bottom: float = 334


FRAME: Final = Frame()


@attrs.frozen
class Tick:
    """A line of the grid: its position, in units of the drawing, and its value in Hz or dB HL."""

    at: float
    value: int


@attrs.frozen(repr=False)
class Point:
    """The position of a threshold, in units of the drawing, and whether the true level may be lower in it (louder)."""

    x: float
    y: float
    is_lower_bound: bool


@attrs.frozen(repr=False)
class Curve:
    """The thresholds of one ear, or those typical for an age, low frequencies first."""

    kind: Kind
    points: tuple[Point, ...]

    @property
    def line(self) -> str:
        """The points in the syntax of SVG's polyline."""
        return " ".join(f"{point.x:g},{point.y:g}" for point in self.points)


@attrs.frozen(repr=False)
class Chart:
    """A whole audiogram. The typical curve is the first, so that it is drawn behind the others."""

    frequencies: tuple[Tick, ...]
    levels: tuple[Tick, ...]
    curves: tuple[Curve, ...]
    frame: Frame = FRAME


def draw_chart(test: HearingTestResult | None, estimate: Estimate | None) -> Chart:
    """Draw a hearing test and the typical thresholds; each may be None.

    The axis ends at 90 dB HL, or at 120 where a level above 90 is shown.
    """
    shown: dict[Kind, dict[int, Level]] = {}
    if estimate is not None:
        shown["typical"] = {hz: Level(level) for hz, level in estimate}
    if test is not None:
        shown |= {"right": read_levels(test, test.right), "left": read_levels(test, test.left)}
    is_loud = any(level.value > _DEFAULT_END for curve in shown.values() for level in curve.values())
    end = LEVELS[1] if is_loud else _DEFAULT_END
    return Chart(
        tuple(Tick(_x(hz), hz) for hz in FREQUENCIES),
        tuple(Tick(_y(level, end), level) for level in _TICKS if level <= end),
        tuple(_draw_curve(kind, curve, end) for kind, curve in shown.items()),
    )


def _draw_curve(kind: Kind, curve: dict[int, Level], end: float) -> Curve:
    return Curve(kind, tuple(Point(_x(hz), _y(level.value, end), level.is_lower_bound) for hz, level in curve.items()))


def _x(frequency: int) -> float:
    fraction = FREQUENCIES.index(frequency) / (len(FREQUENCIES) - 1)
    return round(FRAME.left + _INDENT + fraction * (FRAME.right - FRAME.left - 2 * _INDENT), 1)


def _y(level: float, end: float) -> float:
    return round(FRAME.top + (level - _QUIETEST) / (end - _QUIETEST) * (FRAME.bottom - FRAME.top), 1)
