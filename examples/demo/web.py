"""Both products in the browser: `make web`, or `python -m examples.demo.web`.

Start the identity server and the two products, each in a process of its own, and print their addresses. Ctrl-C, SIGTERM
or SIGHUP stop all of them. If one of them ends early, all are stopped, and the exit status is 1.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from mimi_async import MimiError

from ..partner_service.ports import port
from .processes import Process
from .stage import PRODUCTS, Stage
from .stopping import StoppedError, run_until_stopped

PORTS = (8080, 8081)
"""The ports of the products; a port that is taken is replaced by a free one."""


class EndedError(Exception):
    """A process has ended early."""


async def run(options: argparse.Namespace) -> None:
    """Run all processes until cancelled.

    Raises:
        EndedError: One of the processes did not start, or has ended.
    """
    folder = _make_folder(options.data)
    async with Stage(folder=folder, port=options.server_port, log_level="warning") as stage:
        sites = await _start_sites(stage, options.ports)
        print(f"Ctrl-C ends all, and {'the data stay' if folder else 'the data are deleted'}.", flush=True)
        try:
            await _watch_all({"identity server": stage.server, **sites})
        finally:  # before the server: a product may still send requests to it
            await asyncio.gather(*(site.stop() for site in sites.values()), return_exceptions=True)


def _make_folder(folder: Path | None) -> Path | None:
    if folder is not None:
        folder.mkdir(mode=0o700, exist_ok=True)  # only this one: a missing folder above it is a mistake
    return folder and folder.resolve()


async def _start_sites(stage: Stage, ports: Sequence[int] | None) -> dict[str, Process]:
    may_move = [] if ports else ["--or-any"]
    sites = {
        product: await stage.site(product, "--port", str(port), *may_move)
        for product, port in zip(PRODUCTS, ports or PORTS, strict=True)
    }
    for product, site in sites.items():
        try:
            print(f"{product:<8}{await site.read_address()}", flush=True)
        except RuntimeError as error:
            msg = f"{product}: {error}"
            raise EndedError(msg) from None
    return sites


async def _watch_all(processes: dict[str, Process]) -> None:
    watching = [asyncio.create_task(_watch(name, process)) for name, process in processes.items()]
    try:
        await asyncio.gather(*watching)
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


async def _watch(name: str, process: Process) -> None:
    status = await process.watch(lambda line: print(f"{name}: {line}", file=sys.stderr, flush=True))
    msg = f"{name} has ended, with the status {status}: so everything ends"
    raise EndedError(msg)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both products."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo.web", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep the data there; by default they are deleted")
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
