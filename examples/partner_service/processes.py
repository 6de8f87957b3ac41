"""Processes of the walk-through. Each is stopped by its own id, and none is waited for without an end."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

PATIENCE = 20.0
"""Seconds after which a process that says nothing has failed."""

ROOT = Path(__file__).parents[2]

Fact = dict[str, Any]


class Process:
    """A Python process, and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []

    @classmethod
    async def start(cls, *arguments: str, environ: Mapping[str, str]) -> Self:
        """Start `python` with these arguments; secrets belong into `environ`.

        It gets a process group of its own: a Ctrl-C reaches us alone, who stop it in good order.
        """
        pipe = asyncio.subprocess.PIPE
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                stdin=pipe,
                stdout=pipe,
                stderr=asyncio.subprocess.STDOUT,
                env=environ,
                cwd=ROOT,
                process_group=0,
            )
        )

    async def line(self) -> str | None:
        """Wait for the next line; None at the end."""
        if self._process.stdout is None:
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                line = await self._process.stdout.readline()
        except TimeoutError:
            msg = f"a process has said nothing for {PATIENCE:g} s"
            raise TimeoutError(msg) from None
        if line:
            self.lines.append(line.decode().rstrip())
        return self.lines[-1] if line else None

    async def address(self) -> str:
        """Wait until it says where it serves, and return that.

        Raises:
            RuntimeError: It ended before; the message quotes what it said.
        """
        while (line := await self.line()) is not None:
            if line.startswith("serving "):
                return line.split()[1]
        await self.ended()
        msg = f"it did not start: {' · '.join(self.lines[-3:])}"
        raise RuntimeError(msg)

    async def watch(self, tell: Callable[[str], None]) -> int:
        """Hand on each further line, keep none, and wait for the end however long it takes; return the exit status."""
        while self._process.stdout is not None and (line := await self._process.stdout.readline()):
            tell(line.decode(errors="replace").rstrip())
        return await self._process.wait()

    async def ended(self) -> int:
        """Read to the end; return the exit status."""
        while await self.line() is not None:
            pass
        async with asyncio.timeout(PATIENCE):
            return await self._process.wait()

    async def stop(self) -> int:
        """Ask it to end, and make it end where it does not; return the exit status."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
        try:
            return await self.ended()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            raise

    def write(self, line: str) -> None:
        """Write a line to its standard input."""
        if self._process.stdin is not None:
            self._process.stdin.write(f"{line}\n".encode())


class Launch(Process):
    """One launch of a product: `go()` lets it begin, `run()` waits for its end, too.

    Attributes:
        command: Which product, account and action.
        status: How it ended; None before.
    """

    command = ""
    status: int | None = None

    def go(self) -> None:
        """Let it begin."""
        self.write("go")

    async def run(self) -> Self:
        """Let it begin, and wait for its end."""
        self.go()
        return await self.finished()

    async def finished(self) -> Self:
        """Wait for its end."""
        self.status = await self.ended()
        return self

    async def heard(self, event: str) -> bool:
        """Wait until it tells an event; False if it ends before."""
        while not self.told(event):
            if await self.line() is None:
                return False
        return True

    @property
    def facts(self) -> list[Fact]:
        """All that it told, in order."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def told(self, event: str) -> list[Fact]:
        """What it told of one kind, in order."""
        return [fact for fact in self.facts if fact["event"] == event]

    def first(self, event: str) -> Fact:
        """The first thing that it told of one kind.

        Raises:
            LookupError: It told nothing of the kind.
        """
        told = self.told(event)
        if not told:
            msg = f"the launch {self.command!r} ended without {event!r}"
            raise LookupError(msg)
        return told[0]

    def last(self, event: str) -> Fact:
        """The last thing that it told of one kind; raises as `first`."""
        return (self.told(event) or [self.first(event)])[-1]

    def order(self, *events: str) -> list[str]:
        """In which order it first told these events."""
        names = [fact["event"] for fact in self.facts]
        return sorted((event for event in events if event in names), key=names.index)
