"""Quote a full run in docs/performance.md, with its plots: `python -m benchmarks.publish [FOLDER]`."""

import argparse
import json
import re
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

from .harness import FULL
from .report import RESULTS

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"


def main() -> None:
    """Quote the run of a folder, by default the last one."""
    parser = argparse.ArgumentParser(prog="benchmarks.publish", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="what `make bench` named at its end")
    folder = parser.parse_args().folder or max(RESULTS.iterdir(), default=None)
    if folder is None:
        sys.exit("there is no run yet: make bench")
    results = json.loads((folder / "results.json").read_text())
    if results["scale"]["rounds"] < FULL.rounds or results["scale"]["seconds"] < FULL.seconds:
        sys.exit(f"{folder} is a quick run, whose figures mean nothing: make bench")
    DOCUMENT.write_text(fill(DOCUMENT.read_text(), results))
    plots = DOCUMENT.with_suffix("")
    plots.mkdir(exist_ok=True)
    for plot in folder.glob("*.svg"):
        shutil.copy(plot, plots)


def fill(text: str, results: dict[str, Any]) -> str:
    """Return the document with the blocks of a run: between `<!-- NAME -->` and `<!-- end -->`.

    Raises:
        SystemExit: The run lacks a block of the document: only some rows were measured.
    """
    blocks = {"table": f"{_quote_machine(results['machine'])}\n\n{results['table']}"}
    blocks |= {curve["name"]: _quote_curve(curve) for curve in results["curves"]}

    def replace(block: re.Match[str]) -> str:
        if block[1] not in blocks:
            sys.exit(f"the run has no {block[1]}: measure all rows, by make bench")
        return f"<!-- {block[1]} -->\n\n{blocks[block[1]]}\n\n<!-- end -->"

    return re.sub(r"<!-- ([\w-]+) -->\n.*?<!-- end -->", replace, text, flags=re.DOTALL)


def _quote_machine(machine: dict[str, Any]) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    return (
        f"{machine['processors']} processors ({machine['processor']}), {machine['system']}, {machine['python']}; "
        f"{libraries}. Load before the run: {machine['load']:.1f}."
    )


def _quote_curve(curve: dict[str, Any]) -> str:
    """Return the plot and its medians. JSON has made texts of the numbers of the axis."""
    xs = sorted({int(x) for points in curve["series"].values() for x in points})
    rows = [["", *(f"{x:,}" for x in xs)], ["---"] * (len(xs) + 1)]
    for name, points in curve["series"].items():
        rows.append([name, *(_format(statistics.median(points[str(x)])) if str(x) in points else "" for x in xs)])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"![{curve['title']}](performance/{curve['name']}.svg)\n\n{curve['y']}, by {curve['x']}:\n\n{table}"


def _format(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
