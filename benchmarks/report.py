"""The results: a Markdown table, JSON, and plots as SVG."""

import json
import os
import platform
import re
import statistics
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs

from .harness import Curve, Line, Scale

RESULTS = Path(__file__).with_name("results")
"""Ignored by git. Each run has a folder."""

_TITLES = ("what", "against", "median", "range", "to reach", "moonshot", "", "ours", "theirs")
_LIBRARIES = ("aiohttp", "aiosqlite", "attrs", "blinker", "msgspec", "supabase-auth", "tenacity", "uvloop")


def describe_machine() -> dict[str, Any]:
    """Return the facts that a figure depends on."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*: (.*)$", cpuinfo.read_text() if cpuinfo.exists() else "", re.MULTILINE)
    return {
        "processor": model[1] if model else platform.processor(),
        "processors": os.cpu_count(),
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": os.getloadavg()[0],
        "libraries": {name: metadata.version(name) for name in _LIBRARIES if _is_installed(name)},
    }


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


@attrs.frozen(kw_only=True)
class Report:
    """What one run has measured.

    Attributes:
        scale: The amount of measurements.
        lines: The lines of the table.
        curves: The plots.
        skipped: Row → why it was not measured.
        machine: The facts that a figure depends on.
    """

    scale: Scale
    lines: list[Line] = attrs.field(factory=list)
    curves: list[Curve] = attrs.field(factory=list)
    skipped: dict[str, str] = attrs.field(factory=dict)
    machine: dict[str, Any] = attrs.field(factory=describe_machine)

    def add(self, result: Line | Curve) -> None:
        """Add a line or a curve."""
        if isinstance(result, Line):
            self.lines.append(result)
        else:
            self.curves.append(result)

    def table(self) -> str:
        """Return the Markdown table."""
        rows = [_TITLES, tuple("---" for _ in _TITLES), *(_cells(line) for line in self.lines)]
        empty = ("",) * (len(_TITLES) - 2)
        rows += [(name, f"skipped: {why}", *empty) for name, why in self.skipped.items()]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def as_json(self) -> dict[str, Any]:
        """Return everything, with each round."""
        lines = [{**attrs.asdict(line), "figures": line.figures(), "verdict": line.verdict()} for line in self.lines]
        return {
            "machine": self.machine,
            "scale": attrs.asdict(self.scale),
            "table": self.table(),
            "lines": lines,
            "curves": [attrs.asdict(curve) for curve in self.curves],
            "skipped": self.skipped,
        }

    def save(self, folder: Path) -> None:
        """Write JSON and plots into a folder."""
        folder.mkdir(parents=True)
        (folder / "results.json").write_text(json.dumps(self.as_json(), indent=1))
        for curve in self.curves:
            draw(curve, folder / f"{curve.name}.svg")


def draw(curve: Curve, file: Path) -> None:
    """Plot the medians, and the range of the rounds around them."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": curve.name}):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot(title=curve.title, xlabel=curve.x, ylabel=curve.y)
        for name, points in curve.series.items():
            rounds = list(points.values())
            (line,) = axes.plot(list(points), [statistics.median(each) for each in rounds], "o-", label=name)
            low, high = [min(each) for each in rounds], [max(each) for each in rounds]
            axes.fill_between(list(points), low, high, color=line.get_color(), alpha=0.2)
        xs = sorted({x for points in curve.series.values() for x in points})
        if xs[-1] > 10:
            axes.set_xscale("log")
        axes.set_xticks(xs, [f"{x:,}" for x in xs])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(file, metadata={"Date": None})


def _cells(line: Line) -> tuple[str, ...]:
    figures = line.figures()
    spread = f"{_format(line, min(figures))} … {_format(line, max(figures))}"
    bars = ["" if bar is None else _format(line, bar) for bar in (line.goal, line.moonshot)]
    absolute = [_format_absolute(line, values) if values else "" for values in (line.ours, line.theirs)]
    return (
        line.what,
        line.against,
        _format(line, statistics.median(figures)),
        spread,
        *bars,
        line.verdict(),
        *absolute,
    )


def _format(line: Line, figure: float) -> str:
    match line.kind:
        case "added":
            return f"{figure:+.2f} µs"
        case "bytes":
            return f"{figure:,.0f} B"
        case "seconds":
            return _format_seconds(figure)
        case _:
            return f"{figure:.2f} ×"


def _format_absolute(line: Line, values: list[float]) -> str:
    value = statistics.median(values)
    match line.kind:
        case "rate":
            return f"{1 / value:,.0f}/s"
        case "bytes":
            return f"{value:,.0f} B"
        case _:
            return _format_seconds(value)


def _format_seconds(value: float) -> str:
    return f"{value * 1e3:,.2f} ms" if value >= 1e-3 else f"{value * 1e6:,.2f} µs"
