"""Both products in the browser: `make web`, or `python -m examples.partner_service.web`.

Starts the identity server and the two products, each a process of its own, prints where they are, and ends all of them
by Ctrl-C, SIGTERM or SIGHUP. Should one of them end by itself, all end, with the exit status 1.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from mimi_async import MimiError

from .ports import port
from .processes import Process
from .stage import PRODUCTS, Stage
from .stopping import StoppedError, run_until_stopped

PORTS = (8080, 8081)
"""Where the products are, unless somebody else is there."""


class EndedError(Exception):
    """A process has ended that should not."""


async def run(options: argparse.Namespace) -> None:
    """Run everything until it is cancelled.

    Raises:
        EndedError: One of the processes did not start, or has ended.
    """
    folder = _made(options.data)
    async with Stage(folder=folder, port=options.server_port, log_level="warning") as stage:
        sites = await _sites(stage, options.ports)
        print(f"Ctrl-C ends all, and {'the data stay' if folder else 'the data are gone then'}.", flush=True)
        try:
            await _watch_all({"identity server": stage.server, **sites})
        finally:  # before the server ends, which they may still have to ask for something
            await asyncio.gather(*(site.stop() for site in sites.values()), return_exceptions=True)


def _made(folder: Path | None) -> Path | None:
    if folder is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder and folder.resolve()


async def _sites(stage: Stage, ports: Sequence[int] | None) -> dict[str, Process]:
    may_move = [] if ports else ["--or-any"]
    sites = {
        product: await stage.site(product, "--port", str(port), *may_move)
        for product, port in zip(PRODUCTS, ports or PORTS, strict=True)
    }
    for product, site in sites.items():
        try:
            print(f"{product:<8}{await site.address()}", flush=True)
        except RuntimeError as error:
            msg = f"{product}: {error}"
            raise EndedError(msg) from None
    return sites


async def _watch_all(processes: dict[str, Process]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for name, process in processes.items():
                group.create_task(_watch(name, process))
    except* EndedError as errors:
        first = errors.exceptions[0]
    raise first


async def _watch(name: str, process: Process) -> None:
    status = await process.watch(lambda line: print(f"{name}: {line}", file=sys.stderr, flush=True))
    msg = f"{name} has ended, with the status {status}: so everything ends"
    raise EndedError(msg)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both products."""
    parser = argparse.ArgumentParser(prog="python -m examples.partner_service.web", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep the data there; else they are gone at the end")
    parser.add_argument(
        "--ports",
        type=port,
        nargs=len(PRODUCTS),
        metavar="PORT",
        help=f"of {' and '.join(PRODUCTS)}; by default {PORTS[0]} and {PORTS[1]}, or free ones where these are taken",
    )
    parser.add_argument("--server-port", type=port, default=0, metavar="PORT", help="of the identity server")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(run_until_stopped(run(options)))
    except StoppedError:
        return 0
    except (EndedError, MimiError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
