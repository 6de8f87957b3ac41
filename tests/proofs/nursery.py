"""Real processes, many and fast: one that has imported everything, runs no loop and no thread, and forks at request.

`python -m tests.proofs.nursery` reads batches of jobs, one JSON line each, bears a child for each job, lets all begin
at the same instant, and answers with their exit statuses.
"""

import asyncio
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

_ROOT = Path(__file__).parents[2]

KILLED = -signal.SIGKILL

Job = dict[str, Any]


class Nursery:
    """Bears processes. A context manager, for any event loop.

    Args:
        stderr: A file, open for reading and writing, for all that they say.
    """

    def __init__(self, stderr: IO[bytes]) -> None:
        self._stderr = stderr
        self._heard = 0
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", __name__]
        self._process = subprocess.Popen(
            command, cwd=_ROOT, stderr=self._stderr, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.communicate()

    def said(self) -> str:
        """Return what was said since this was last asked."""
        said = os.pread(self._stderr.fileno(), 1 << 30, self._heard)
        self._heard += len(said)
        return said.decode()

    async def run(self, *jobs: Job) -> list[int]:
        """Run jobs at the same time, each in a process of its own, and return their exit statuses."""
        return await asyncio.to_thread(self._run, jobs)

    async def run_all(self, jobs: Iterable[Job], *, at_once: int = 10) -> set[int]:
        """Run any number of jobs, so many at once, and return the exit statuses that there were."""
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
    """Be the process that forks."""
    from . import child

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        jobs: list[Job] = json.loads(line)
        gate, signal_to_begin = os.pipe()
        children = [_born(child.live, job, gate, signal_to_begin) for job in jobs]
        os.close(gate)
        os.close(signal_to_begin)
        _kill_in_time(jobs, children)
        statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        answers.write(json.dumps(statuses) + "\n")
        answers.flush()


def _born(live: Any, job: Job, gate: int, signal_to_begin: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.close(signal_to_begin)
        os.read(gate, 1)
        live(job)
    except BaseException:  # noqa: BLE001 - this is the bottom of a process
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _kill_in_time(jobs: Sequence[Job], children: Sequence[int]) -> None:
    """Kill those that are to be killed after so many seconds."""
    begun = time.monotonic()
    for seconds, pid in sorted(
        (job["seconds"], pid) for job, pid in zip(jobs, children, strict=True) if "seconds" in job
    ):
        time.sleep(max(0.0, begun + seconds - time.monotonic()))
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve()
