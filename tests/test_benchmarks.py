"""All rows of the benchmarks run and print. No figure of a machine is asserted: machines differ."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import ROWS
from benchmarks.harness import Line
from benchmarks.hot_paths import PATHS
from benchmarks.instructions import FILE, compare
from benchmarks.publish import DOCUMENT, fill

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if not os.environ.get("CI"):
        pytest.skip("takes a minute; it is run by: CI=true .venv/bin/python -m pytest -n0 tests/test_benchmarks.py")
    folder = tmp_path_factory.mktemp("bench") / "results"
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--into", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    results: dict[str, Any] = json.loads((folder / "results.json").read_text())
    assert process.stdout.strip() == results["table"]
    assert {file.stem for file in folder.glob("*.svg")} == {curve["name"] for curve in results["curves"]}
    return results


@pytest.mark.timeout(620)
def test_all_rows_run_and_a_row_that_is_skipped_says_what_to_install(results: dict[str, Any]) -> None:
    assert results["skipped"].keys() <= ROWS.keys()
    assert all(": " in reason for reason in results["skipped"].values())
    assert len(results["lines"]) + len(results["curves"]) + len(results["skipped"]) >= len(ROWS)
    assert results["table"].startswith("| what | against | median | range | to reach | moonshot |")


@pytest.mark.timeout(620)
def test_the_document_quotes_the_table_and_every_curve(results: dict[str, Any]) -> None:
    blocks = re.findall(r"^<!-- ([\w-]+) -->$", DOCUMENT.read_text(), re.MULTILINE)
    names = {curve["name"] for curve in results["curves"]}
    assert set(blocks) - {"end"} >= {"table", *names}

    filled = fill(DOCUMENT.read_text(), {**results, "curves": _with_all_blocks(results["curves"], blocks)})
    assert results["table"] in filled
    assert "Not measured yet" not in filled


def _with_all_blocks(curves: list[dict[str, Any]], blocks: list[str]) -> list[dict[str, Any]]:
    """Add an empty curve for a block whose row was skipped."""
    missing = set(blocks) - {"table", "end"} - {curve["name"] for curve in curves}
    return [*curves, *({"name": name, "title": "", "x": "", "y": "", "series": {}} for name in missing)]


def test_a_run_of_some_rows_is_not_quoted() -> None:
    machine = {"processors": 2, "processor": "", "system": "", "python": "", "load": 0.0, "libraries": {}}
    with pytest.raises(SystemExit, match="measure all rows"):
        fill(DOCUMENT.read_text(), {"machine": machine, "table": "", "curves": []})


@pytest.mark.parametrize(
    ("ours", "verdict"), [(1.0, "moonshot"), (2.0, "reached"), (3.0, "SHORT")], ids=["much faster", "faster", "slower"]
)
def test_a_line_compares_the_median_with_its_bars(ours: float, verdict: str) -> None:
    rounds = [ours, ours, 100.0]  # one disturbed round changes nothing
    line = Line(what="", ours=rounds, theirs=[2.0, 2.0, 2.0], goal=0.8, moonshot=1.5, kind="rate")
    assert line.verdict() == verdict


def test_five_percent_more_instructions_are_a_regression() -> None:
    stored = {"restore": 1_000}
    assert compare({"restore": 1_050}, stored)[1] is False
    assert compare({"restore": 1_051}, stored) == (["restore: 1,051 instructions, +5.1%: MORE"], True)


def test_the_stored_counts_have_every_hot_path() -> None:
    assert all(set(counts) == set(PATHS) for counts in json.loads(FILE.read_text()).values())
