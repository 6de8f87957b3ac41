"""Run the programs of the examples as a terminal does: each in its own process group, with child processes."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[2]


class Program:
    """A running program and its output so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.out = self.err = ""

    async def line(self) -> str:
        """Read the next line."""
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode()
        self.out += line
        return line

    def signal(self, number: int) -> None:
        """Send a signal as a terminal does: to the whole process group."""
        os.killpg(self._process.pid, number)

    async def ended(self) -> int:
        out, err = await self._process.communicate()
        self.out += out.decode()
        self.err += err.decode()
        assert self._process.returncode is not None
        return self._process.returncode

    async def first_children(self) -> dict[int, str]:
        """Wait until the program has started a process."""
        while True:
            children = await asyncio.to_thread(self.children)
            if children:
                return children

    def children(self) -> dict[int, str]:
        """Return its child processes and their command lines."""
        return {pid: command for pid, parent, command in processes() if parent == self._process.pid}


_P = TypeVar("_P", bound=Program)


def processes() -> list[tuple[int, int, str]]:
    """Return id, parent id and command line of each running process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            found.append((int(folder.name), parent, (folder / "cmdline").read_text().replace("\0", " ")))
        except OSError:  # the process has ended
            continue
    return found


def left_of(children: dict[int, str]) -> set[int]:
    """Return which of these processes still run."""
    return {pid for pid, _, command in processes() if children.get(pid) == command}


@asynccontextmanager
async def program(kind: type[_P], module: str, *arguments: str, **environ: str) -> AsyncIterator[_P]:
    """Run a module; terminate it when the context is left."""
    command = (sys.executable, "-W", "error", "-m", module, *arguments)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env={**os.environ, **environ}, stdout=pipe, stderr=pipe, process_group=0
    )
    try:
        yield kind(process)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()
