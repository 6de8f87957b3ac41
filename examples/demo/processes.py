"""Processes of the demos: started, read and stopped with time limits."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

TIMEOUT = 20.0
"""Seconds without output after which a process counts as failed."""

ROOT = Path(__file__).parents[2]

Event = dict[str, Any]


class Process:
    """A Python process and its output so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []

    @classmethod
    async def start(cls, *arguments: str, environ: Mapping[str, str]) -> Self:
        """Start `python` with these arguments; pass secrets in `environ`.

        The process gets its own process group: a Ctrl-C reaches only the parent, which stops it.
        """
        pipe = asyncio.subprocess.PIPE
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
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
        try:
            return cls(await asyncio.shield(starting))
        except asyncio.CancelledError:  # asyncio reaps the child of a cancelled start twice, and logs that
            await cls(await starting).stop()
            raise

    async def read_line(self) -> str | None:
        """Read the next line of output; return None at the end."""
        if self._process.stdout is None:
            return None
        try:
            async with asyncio.timeout(TIMEOUT):
                line = await self._process.stdout.readline()
        except TimeoutError:
            msg = f"a process printed nothing for {TIMEOUT:g} s"
            raise TimeoutError(msg) from None
        if line:
            self.lines.append(line.decode().rstrip())
        return self.lines[-1] if line else None

    async def read_address(self) -> str:
        """Read the output until it names the address that the process serves; return the address.

        Raises:
            RuntimeError: The process ended before; the message quotes its last lines.
        """
        while (line := await self.read_line()) is not None:
            if line.startswith("serving "):
                return line.split()[1]
        await self.wait()
        msg = f"it did not start: {' · '.join(self.lines[-3:])}"
        raise RuntimeError(msg)

    async def watch(self, on_line: Callable[[str], None]) -> int:
        """Pass each further line to `on_line`, without a time limit; return the exit status."""
        while self._process.stdout is not None and (line := await self._process.stdout.readline()):
            on_line(line.decode(errors="replace").rstrip())
        return await self._process.wait()

    async def wait(self) -> int:
        """Read the output to its end; return the exit status."""
        while await self.read_line() is not None:
            pass
        async with asyncio.timeout(TIMEOUT):
            return await self._process.wait()

    async def stop(self) -> int:
        """Send SIGTERM, and SIGKILL if the process does not end in time; return the exit status."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
        try:
            return await self.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            raise

    def write(self, line: str) -> None:
        """Write a line to its standard input."""
        if self._process.stdin is not None:
            self._process.stdin.write(f"{line}\n".encode())


class Launch(Process):
    """One launch of a product: `go()` starts its work, `run()` also waits for its end.

    Attributes:
        command: Product, account and action.
        status: The exit status; None while it runs.
    """

    command = ""
    status: int | None = None

    def go(self) -> None:
        """Start the work."""
        self.write("go")

    async def run(self) -> Self:
        """Start the work and wait for the end."""
        self.go()
        return await self.wait_finished()

    async def wait_finished(self) -> Self:
        """Wait for the end."""
        self.status = await self.wait()
        return self

    async def wait_event(self, event: str) -> bool:
        """Wait for an event; return False if the process ends before."""
        while not self.events_of(event):
            if await self.read_line() is None:
                return False
        return True

    @property
    def events(self) -> list[Event]:
        """All events, in order."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def events_of(self, event: str) -> list[Event]:
        """Return the events of one name, in order."""
        return [each for each in self.events if each["event"] == event]

    def first(self, event: str) -> Event:
        """Return the first event of one name.

        Raises:
            LookupError: There is none.
        """
        events = self.events_of(event)
        if not events:
            msg = f"the launch {self.command!r} ended without {event!r}"
            raise LookupError(msg)
        return events[0]

    def last(self, event: str) -> Event:
        """Return the last event of one name; raises as `first`."""
        return (self.events_of(event) or [self.first(event)])[-1]

    def order(self, *events: str) -> list[str]:
        """Return the names of these events in the order in which each first happened."""
        names = [each["event"] for each in self.events]
        return sorted((event for event in events if event in names), key=names.index)
