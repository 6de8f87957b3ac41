"""Count the instructions of the hot paths, and compare with the stored counts: `python -m benchmarks.instructions`.

The counts do not depend on the load of the machine, and so show a regression that a clock does not. They depend on
Python, on the processor and on the libraries: the file has counts for each combination, and `--update` adds one.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from .hot_paths import PATHS, TIMES

FILE = Path(__file__).with_name("instructions.json")
TOLERANCE = 0.05
"""Counts of two runs differ by less: addresses, times and random ids decide some branches."""

_TOTALS = re.compile(r"^totals: (\d+)$", re.MULTILINE)
_LIBRARIES = ("aiohttp", "attrs", "blinker", "msgspec", "multidict", "yarl")


def main() -> int:
    """Count and compare; return the exit status, which is 1 where a path takes more instructions than stored."""
    parser = argparse.ArgumentParser(prog="benchmarks.instructions", description=__doc__)
    parser.add_argument("--update", action="store_true", help="store the counts of this run")
    is_update = parser.parse_args().update
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is missing: apt-get install valgrind")
        return 0
    stored: dict[str, dict[str, int]] = json.loads(FILE.read_text())
    where = describe()
    if where not in stored and not is_update:
        print(f"skipped: no counts for {where}: make instructions ARGS=--update")
        return 0
    counts = count()
    lines, is_regression = compare(counts, stored.get(where, counts))
    if is_update:
        FILE.write_text(json.dumps({**stored, where: counts}, indent=2, sort_keys=True) + "\n")
        is_regression = False
    print("\n".join(lines))
    return int(is_regression)


def describe() -> str:
    """Return what a count depends on, besides the code."""
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES)
    return f"Python {platform.python_version()}, {platform.python_compiler()}, {platform.machine()}, {libraries}"


def count() -> dict[str, int]:
    """Return the instructions of one call of each path."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "callgrind.out")
        command = ["valgrind", "--tool=callgrind", "--dump-before=getpgid", f"--callgrind-out-file={file}"]
        subprocess.run(
            [*command, sys.executable, "-m", "benchmarks.hot_paths"],
            check=True,
            cwd=Path(__file__).parents[1],
            env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        counts = {}
        for number, path in enumerate(PATHS):
            totals = _TOTALS.search(Path(f"{file}.{2 * number + 2}").read_text())  # the odd parts are preparations
            assert totals
            counts[path] = int(totals[1]) // TIMES
    return counts


def compare(counts: Mapping[str, int], stored: Mapping[str, int]) -> tuple[list[str], bool]:
    """Return a line for each path, and whether one takes more instructions than the tolerance allows."""
    lines = []
    for path, instructions in counts.items():
        change = instructions / stored[path] - 1
        verdict = (
            "MORE" if change > TOLERANCE else "less: make instructions ARGS=--update" if change < -TOLERANCE else "ok"
        )
        lines.append(f"{path}: {instructions:,} instructions, {change:+.1%}: {verdict}")
    return lines, any(instructions > stored[path] * (1 + TOLERANCE) for path, instructions in counts.items())


if __name__ == "__main__":
    sys.exit(main())
