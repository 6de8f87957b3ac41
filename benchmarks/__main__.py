"""Measure, print one Markdown table, save JSON and plots: `python -m benchmarks [ROW …] [--quick] [--into FOLDER]`."""

import argparse
import asyncio
import gc
import logging
import sys
import time
from pathlib import Path

from . import announcements, claims, creations, imports, lag, memory, restores, sign_ins, sizes, views
from .harness import FULL, QUICK, Row, SkippedError
from .report import RESULTS, Report

ROWS: dict[str, Row] = {
    "restores": restores.restores,
    "uvloop": restores.on_uvloop,
    "start": restores.start,
    "present": views.present,
    "announcements": announcements.announcements,
    "crowd": announcements.crowd,
    "memory": memory.memory,
    "claims": claims.claims,
    "sign-ins": sign_ins.sign_ins,
    "creations": creations.creations,
    "firebase": creations.firebase,
    "processes": creations.processes,
    "sizes": sizes.sizes,
    "lag": lag.lag,
    "imports": imports.imports,
}


async def _measure(row: Row, report: Report) -> None:
    async for result in row(report.scale):
        report.add(result)


def main() -> None:
    """Measure the given rows, by default all."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"one of {', '.join(ROWS)}")
    parser.add_argument("--quick", action="store_true", help="check that each row runs; the figures mean nothing")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="a new folder for JSON and plots")
    arguments = parser.parse_args()
    unknown = set(arguments.rows) - ROWS.keys()
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    logging.getLogger("mimi_async").setLevel(logging.ERROR)  # each new store is logged at WARNING
    report = Report(scale=QUICK if arguments.quick else FULL)
    rows = arguments.rows or list(ROWS)
    if arguments.quick and not arguments.rows:
        rows.remove("firebase")
        report.skipped["firebase"] = "it starts slowly: make bench ARGS='--quick firebase'"
    for name in rows:
        print(f"measuring {name} …", end="", file=sys.stderr, flush=True)
        started = time.perf_counter()
        try:
            asyncio.run(_measure(ROWS[name], report))
        except SkippedError as error:
            report.skipped[name] = str(error)
        except ModuleNotFoundError as error:
            report.skipped[name] = f"{error.name} is missing: make setup"
        gc.collect()
        print(f" {time.perf_counter() - started:.1f} s", file=sys.stderr)
    print(report.table())
    folder = arguments.into or RESULTS / time.strftime("%Y-%m-%d-%H%M%S")
    report.save(folder)
    print(f"saved in {folder}", file=sys.stderr)


if __name__ == "__main__":
    main()
