"""An audiogram as a drawing: where its lines and marks lie, for a template to write as SVG.

The axes are those of audiometry (ISO 8253-1): frequency by octaves to the right, hearing level in dB HL downwards.
"""

from typing import Final, Literal

import attrs

from ..hearing.estimate import Estimate
from ..hearing.results import FREQUENCIES, LEVELS, HearingTestResult
from .numbers import Level, levels

_INDENT: Final = 14
_QUIETEST: Final = LEVELS[0]
_USUAL_END: Final = 90
_TICKS: Final = (-10, 0, 20, 40, 60, 80, 100, 120)

Kind = Literal["right", "left", "typical"]


@attrs.frozen
class Frame:
    """The size of the drawing, and where its grid ends on each side. Outside of the grid are the labels."""

    width: float = 360
    height: float = 348
    left: float = 42
    right: float = 348
    top: float = 54
    bottom: float = 334


FRAME: Final = Frame()


@attrs.frozen
class Tick:
    """A line of the grid.

    Attributes:
        at: Where, in units of the drawing.
        value: In Hz or dB HL.
    """

    at: float
    value: int


@attrs.frozen(repr=False)
class Point:
    """A threshold: where it lies, in units of the drawing, and whether it may lie lower, which is louder."""

    x: float
    y: float
    is_least: bool


@attrs.frozen(repr=False)
class Curve:
    """The thresholds of one ear, or those typical for an age.

    Attributes:
        kind: Whose: it decides on mark, colour and line.
        points: Where they lie, low frequencies first.
    """

    kind: Kind
    points: tuple[Point, ...]

    @property
    def line(self) -> str:
        """The points as SVG's polyline takes them."""
        return " ".join(f"{point.x:g},{point.y:g}" for point in self.points)


@attrs.frozen(repr=False)
class Chart:
    """A whole audiogram.

    Attributes:
        frequencies: The vertical lines.
        levels: The horizontal lines.
        curves: What was measured, and what is typical, the latter first so that it lies behind.
        frame: Where all of it lies.
    """

    frequencies: tuple[Tick, ...]
    levels: tuple[Tick, ...]
    curves: tuple[Curve, ...]
    frame: Frame = FRAME


def chart(test: HearingTestResult | None, estimate: Estimate | None) -> Chart:
    """Draw a hearing test and what is typical, as far as there are such.

    The drawing ends at 90 dB HL, so that the usual has room; at 120 where something louder is to be shown.
    """
    shown: dict[Kind, dict[int, Level]] = {}
    if estimate is not None:
        shown["typical"] = {hz: Level(level) for hz, level in estimate}
    if test is not None:
        shown |= {"right": levels(test, test.right), "left": levels(test, test.left)}
    is_loud = any(level.value > _USUAL_END for curve in shown.values() for level in curve.values())
    end = LEVELS[1] if is_loud else _USUAL_END
    return Chart(
        tuple(Tick(_x(hz), hz) for hz in FREQUENCIES),
        tuple(Tick(_y(level, end), level) for level in _TICKS if level <= end),
        tuple(_curve(kind, curve, end) for kind, curve in shown.items()),
    )


def _curve(kind: Kind, curve: dict[int, Level], end: float) -> Curve:
    return Curve(kind, tuple(Point(_x(hz), _y(level.value, end), level.is_least) for hz, level in curve.items()))


def _x(frequency: int) -> float:
    place = FREQUENCIES.index(frequency) / (len(FREQUENCIES) - 1)
    return round(FRAME.left + _INDENT + place * (FRAME.right - FRAME.left - 2 * _INDENT), 1)


def _y(level: float, end: float) -> float:
    return round(FRAME.top + (level - _QUIETEST) / (end - _QUIETEST) * (FRAME.bottom - FRAME.top), 1)
