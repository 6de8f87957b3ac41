"""Pairs of measurements, and the table they end up in.

Absolute figures drift with the machine and with what else runs on it. So ours and theirs are measured in turn, A B A B,
and what is told is the median of the ratios of neighbours, with their range.
"""

import gc
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal

import attrs

Measure = Callable[[], Awaitable[float]]
"""Measures once: seconds for one operation, or bytes."""


@attrs.frozen(kw_only=True)
class Scale:
    """How much is measured.

    Attributes:
        pairs: How often ours and theirs are measured.
        amount: The share of the usual amount of work of each measurement.
    """

    pairs: int
    amount: float

    def of(self, usual: int, *, least: int = 1) -> int:
        """Return how many operations to measure where so many are usual."""
        return max(least, int(usual * self.amount))


FULL = Scale(pairs=7, amount=1.0)
QUICK = Scale(pairs=2, amount=0.02)


@attrs.frozen(kw_only=True)
class Line:
    """One line of the table.

    Attributes:
        what: What was measured.
        against: Beside what.
        ours: Seconds for one operation, or bytes, in each round.
        theirs: The same, empty where there is nothing beside it.
        goal: The figure to reach.
        moonshot: The figure that would be a feat.
        kind: "rate": operations in a second as a ratio, more is better · "time": seconds as a ratio, less is better ·
            "added": microseconds that ours takes longer · "bytes": ours alone.
    """

    what: str
    against: str
    ours: list[float]
    theirs: list[float]
    goal: float
    moonshot: float
    kind: Literal["rate", "time", "added", "bytes"]

    def figures(self) -> list[float]:
        """Return the figure of each round, as the goal is told."""
        match self.kind:
            case "rate":
                return [theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)]
            case "time":
                return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]
            case "added":
                return [(ours - theirs) * 1e6 for ours, theirs in zip(self.ours, self.theirs, strict=True)]
            case "bytes":
                return self.ours

    def verdict(self) -> str:
        """Tell how far it got."""
        figure = statistics.median(self.figures())
        sign = -1 if self.kind == "rate" else 1
        if sign * figure <= sign * self.moonshot:
            return "moonshot"
        return "reached" if sign * figure <= sign * self.goal else "SHORT"

    def cells(self) -> tuple[str, ...]:
        """Return the line as texts."""
        figures = self.figures()
        spread = f"{self._told(min(figures))} … {self._told(max(figures))}"
        beside = self._absolute(self.theirs) if self.theirs else ""
        goals = self._told(self.goal), self._told(self.moonshot)
        median = self._told(statistics.median(figures))
        return (self.what, self.against, median, spread, *goals, self.verdict(), self._absolute(self.ours), beside)

    def _told(self, figure: float) -> str:
        match self.kind:
            case "added":
                return f"{figure:+.2f} µs"
            case "bytes":
                return f"{figure:,.0f} B"
            case _:
                return f"{figure:.2f} ×"

    def _absolute(self, values: list[float]) -> str:
        value = statistics.median(values)
        match self.kind:
            case "rate":
                return f"{1 / value:,.0f}/s"
            case "bytes":
                return f"{value:,.0f} B"
            case _:
                return f"{value * 1e3:,.2f} ms" if value >= 1e-3 else f"{value * 1e6:,.2f} µs"


async def in_turn(ours: Measure, theirs: Measure, pairs: int) -> tuple[list[float], list[float]]:
    """Measure A B A B; each begins without the litter of the other."""
    measured: tuple[list[float], list[float]] = [], []
    for _ in range(pairs):
        for measure, values in zip((ours, theirs), measured, strict=True):
            gc.collect()
            values.append(await measure())
    return measured


async def each(call: Callable[[], Awaitable[object]], times: int) -> float:
    """Return the seconds that one call takes, of so many, one after another."""
    begun = time.perf_counter()
    for _ in range(times):
        await call()
    return (time.perf_counter() - begun) / times


def print_table(lines: list[Line]) -> None:
    """Print the lines in columns."""
    titles = ("what", "against", "median", "range", "to reach", "moonshot", "", "ours", "theirs")
    rows = [titles, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(titles))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


Row = Callable[[Scale], AsyncIterator[Line]]
"""Measures the lines of one row."""
