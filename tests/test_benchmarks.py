"""Each row of the benchmarks runs and prints. What it measures is not asserted: machines differ."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import ROWS


@pytest.mark.parametrize("row", ROWS)
def test_runs_and_prints(row: str) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks", row, "--quick"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    if f"skipped {row}" in process.stderr:
        pytest.skip(process.stderr.splitlines()[-1])
    title, *lines = process.stdout.splitlines()
    assert title.startswith("what ")
    assert lines
