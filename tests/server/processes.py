"""The server and its command line as processes of their own."""

import asyncio
import atexit
import functools
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from ..fork_server import ForkServer

COMMAND = (sys.executable, "-m", "mimi_async")
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("MIMI_")}


@attrs.frozen
class Ended:
    status: int
    out: str
    err: str


@functools.cache
def start_fork_server() -> ForkServer:
    """Return the fork server of the command line, which runs as long as this process."""
    server = ForkServer("tests.server.command", sys.stderr.buffer)
    atexit.register(server.__exit__)
    return server.__enter__()


async def run(*arguments: str | Path, environ: dict[str, str] | None = None) -> Ended:
    """Run the command line to its end, in a process that is forked from one that has imported it."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, "out"), Path(folder, "err")]
        job = {
            "arguments": [*map(str, arguments)],
            "environ": ENVIRON | (environ or {}),
            "folder": str(Path.cwd()),
            "outputs": [*map(str, outputs)],
        }
        [status] = await start_fork_server().run(job)
        return Ended(status, *(output.read_text() for output in outputs))


async def run_command(*command: str, environ: dict[str, str] | None = None) -> Ended:
    """Run a command to its end, in a process that starts with the environment."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=ENVIRON | (environ or {}))
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


@attrs.define
class Serving:
    """A process that serves: `url`, and what it printed."""

    url: str
    line: str
    process: asyncio.subprocess.Process

    async def end(self, number: signal.Signals) -> Ended:
        self.process.send_signal(number)
        out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return Ended(self.process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def serving(
    database: Path | str, *options: str, environ: dict[str, str] | None = None, command: tuple[str, ...] = COMMAND
) -> AsyncIterator[Serving]:
    """Run `serve` until the context is left, at the latest."""
    pipe = asyncio.subprocess.PIPE
    url = database if isinstance(database, str) else f"sqlite:///{database}"
    arguments = ("serve", "--port", "0", *options)
    env = ENVIRON | {"MIMI_DATABASE_URL": url} | (environ or {})
    process = await asyncio.create_subprocess_exec(*command, *arguments, stdout=pipe, stderr=pipe, env=env)
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode()
        found = re.match(r"serving (http\S+) ", line)
        assert found, line
        yield Serving(found[1], line, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
