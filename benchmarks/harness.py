"""Rounds of measurements of ours and of a baseline, and their results.

Absolute figures depend on the machine and its load. Therefore ours and theirs are measured alternately, A B A B, and
the result is the median of the ratios of neighbours, with their range.
"""

import gc
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal

import attrs

Batch = tuple[float, int]
"""The seconds that a number of operations took."""

Measure = Callable[[], Awaitable[Batch]]
"""Perform one batch of operations. What it does before and after is not counted."""


class SkippedError(Exception):
    """A row cannot be measured on this machine; the message says what is missing and how to install it."""


@attrs.frozen(kw_only=True)
class Scale:
    """The amount of measurements.

    Attributes:
        rounds: Number of rounds, each of ours and theirs.
        seconds: The minimum length of each of both in a round: batches are repeated.
        amount: Fraction of the usual work of each batch.
    """

    rounds: int
    seconds: float
    amount: float

    def of(self, usual: int, *, least: int = 1) -> int:
        """Return the number of operations for a usual number."""
        return max(least, int(usual * self.amount))

    def for_a_curve(self) -> "Scale":
        """Return the scale of one point of a curve: a range of three rounds."""
        return attrs.evolve(self, rounds=min(self.rounds, 3))


FULL = Scale(rounds=7, seconds=1.0, amount=1.0)
QUICK = Scale(rounds=2, seconds=0.0, amount=0.02)


@attrs.frozen(kw_only=True)
class Line:
    """One line of the table.

    Attributes:
        what: The name of the measurement.
        against: The baseline.
        ours: Seconds for one operation, or bytes, in each round.
        theirs: The same for the baseline; empty if there is none.
        goal: The figure to reach, None for a line that only informs.
        moonshot: The ambitious figure.
        kind: "rate": ratio of operations per second, more is better · "time": ratio of seconds, less is better ·
            "added": additional microseconds of ours · "bytes" and "seconds": ours only, less is better.
    """

    what: str
    against: str = ""
    ours: list[float]
    theirs: list[float] = attrs.field(factory=list)
    goal: float | None = None
    moonshot: float | None = None
    kind: Literal["rate", "time", "added", "bytes", "seconds"]

    def figures(self) -> list[float]:
        """Return the figure of each round, in the unit of the goal."""
        match self.kind:
            case "rate":
                return [theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)]
            case "time":
                return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]
            case "added":
                return [(ours - theirs) * 1e6 for ours, theirs in zip(self.ours, self.theirs, strict=True)]
            case _:
                return self.ours

    def verdict(self) -> str:
        """Return whether the goal is reached."""
        figure = statistics.median(self.figures())
        for name, bar in (("moonshot", self.moonshot), ("reached", self.goal)):
            if bar is not None and (figure >= bar if self.kind == "rate" else figure <= bar):
                return name
        return "" if self.goal is None else "SHORT"


@attrs.frozen(kw_only=True)
class Curve:
    """One plot.

    Attributes:
        name: The name of its file.
        title: What is shown.
        x: The name of the horizontal axis, with its unit.
        y: The name of the vertical axis, with its unit.
        series: Name of a line → x → the value of each round.
    """

    name: str
    title: str
    x: str
    y: str
    series: dict[str, dict[int, list[float]]]


Row = Callable[[Scale], AsyncIterator[Line | Curve]]
"""Measure one row: its lines and curves."""


async def alternate(ours: Measure, theirs: Measure, scale: Scale) -> tuple[list[float], list[float]]:
    """Measure A B A B; return the seconds for one operation in each round."""
    measured: tuple[list[float], list[float]] = [], []
    for _ in range(scale.rounds):
        for measure, values in zip((ours, theirs), measured, strict=True):
            values.append(await _measure_round(measure, scale.seconds))
    return measured


async def _measure_round(measure: Measure, least: float) -> float:
    seconds, operations = 0.0, 0
    while not operations or seconds < least:
        gc.collect()
        taken, count = await measure()
        seconds, operations = seconds + taken, operations + count
    return seconds / operations


async def each(call: Callable[[], Awaitable[object]], times: int) -> Batch:
    """Make `times` calls in sequence."""
    start = time.perf_counter()
    for _ in range(times):
        await call()
    return time.perf_counter() - start, times
