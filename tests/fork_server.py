"""Start many real processes fast: a process that has imported everything, without loop or thread, forks them.

`python -m tests.fork_server MODULE` reads batches of jobs, one JSON line each, forks a process for each job, starts
all of them at the same instant with `MODULE.live(job)`, and writes their exit statuses.
"""

import asyncio
import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, Self

_ROOT = Path(__file__).parents[1]

KILLED = -signal.SIGKILL

Job = dict[str, Any]


class ForkServer:
    """Fork processes for jobs. A context manager that works with any event loop.

    Args:
        module: The module with the main function `live`.
        stderr: A file, open for reading and writing, for their output.
    """

    def __init__(self, module: str, stderr: IO[bytes]) -> None:
        self._module = module
        self._stderr = stderr
        self._position = 0
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", __name__, self._module]
        self._process = subprocess.Popen(
            command, cwd=_ROOT, stderr=self._stderr, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.communicate()

    def read_stderr(self) -> str:
        """Return the output since the last call."""
        output = os.pread(self._stderr.fileno(), 1 << 30, self._position)
        self._position += len(output)
        return output.decode()

    async def run(self, *jobs: Job) -> list[int]:
        """Run jobs concurrently, each in its own process; return their exit statuses."""
        return await asyncio.to_thread(self._run, jobs)

    async def run_all(self, jobs: Iterable[Job], *, at_once: int = 10) -> set[int]:
        """Run any number of jobs, `at_once` concurrently; return the set of exit statuses."""
        statuses: set[int] = set()
        rest = iter(jobs)
        while some := list(itertools.islice(rest, at_once)):
            statuses.update(await self.run(*some))
        return statuses

    def _run(self, jobs: Sequence[Job]) -> list[int]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(jobs).encode() + b"\n")
        stdin.flush()
        statuses: list[int] = json.loads(stdout.readline())
        return statuses


def serve() -> None:
    """Read jobs and fork: the main function of the fork server."""
    live = importlib.import_module(sys.argv[1]).live
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        jobs: list[Job] = json.loads(line)
        gate, signal_to_begin = os.pipe()
        children = [_fork(live, job, gate, signal_to_begin) for job in jobs]
        os.close(gate)
        os.close(signal_to_begin)
        _kill_on_time(jobs, children)
        statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        answers.write(json.dumps(statuses) + "\n")
        answers.flush()


def _fork(live: Any, job: Job, gate: int, signal_to_begin: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.close(signal_to_begin)
        os.read(gate, 1)
        live(job)
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:  # noqa: BLE001 - the main function of a process
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _kill_on_time(jobs: Sequence[Job], children: Sequence[int]) -> None:
    """Kill each process whose job has `seconds`, that many seconds after the start."""
    start = time.monotonic()
    for seconds, pid in sorted(
        (job["seconds"], pid) for job, pid in zip(jobs, children, strict=True) if "seconds" in job
    ):
        time.sleep(max(0.0, start + seconds - time.monotonic()))
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve()
