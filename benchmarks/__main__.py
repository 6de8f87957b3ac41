"""`python -m benchmarks [ROW …] [--quick]` measures and prints one table."""

import argparse
import asyncio
import gc
import sys

from . import announcements, claims, creations, imports, memory, restores, views
from .harness import FULL, QUICK, Line, Row, Scale, print_table

ROWS: dict[str, Row] = {
    "restores": restores.restores,
    "start": restores.start,
    "present": views.present,
    "announcements": announcements.announcements,
    "crowd": announcements.crowd,
    "memory": memory.memory,
    "claims": claims.claims,
    "creations": creations.creations,
    "imports": imports.imports,
}


async def _lines(row: Row, scale: Scale) -> list[Line]:
    return [line async for line in row(scale)]


def main() -> None:
    """Measure the rows that were asked for, all by default."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"one of {', '.join(ROWS)}")
    parser.add_argument("--quick", action="store_true", help="only try whether each row runs: its figures mean nothing")
    arguments = parser.parse_args()
    unknown = set(arguments.rows) - ROWS.keys()
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    lines: list[Line] = []
    for name in arguments.rows or ROWS:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        try:
            lines += asyncio.run(_lines(ROWS[name], QUICK if arguments.quick else FULL))
        except ModuleNotFoundError as missing:
            print(f"skipped {name}: it needs {missing.name}", file=sys.stderr, flush=True)
        gc.collect()
    print_table(lines)


if __name__ == "__main__":
    main()
