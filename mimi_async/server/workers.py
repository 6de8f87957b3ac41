"""Several worker processes that serve one port, forked by a parent that supervises them.

The sockets listen before the first fork, and the parent keeps them open, so that other workers accept connections while
a worker is replaced. The parent holds the only write end of a pipe; workers stop when it is closed, also when the
parent dies.
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any, Final

import attrs

from ..errors import ConfigurationError, MimiError
from .locations import DatabaseLocation
from .server import Server, open_sockets
from .settings import Settings

STABLE_SECONDS: Final = 1.0
"""A worker that has served for this time is replaced without a pause."""

_PAUSES = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the next fork, by the number of successive exits of unstable workers; then the last value."""

_FORK_REMEDY = "raise the limits of processes and open files (`ulimit -u`, `ulimit -n`), or serve with fewer workers"

_log = logging.getLogger(__name__)


@attrs.define(eq=False)
class _Worker:
    """A worker as seen by the parent. `status` is the pipe of its one status message, None once that was read."""

    process: BaseProcess
    status: "connection.Connection[Any, Any] | None"
    serves_since: float | None = None
    failure: str | None = None

    @property
    def is_stable(self) -> bool:
        return self.serves_since is not None and time.monotonic() - self.serves_since >= STABLE_SECONDS

    def read_status(self) -> None:
        """Read the status message: None if the worker serves, else why it cannot."""
        status, self.status = self.status, None
        if status is not None:
            with status, suppress(EOFError, OSError):  # the worker exited before or during the message
                self.failure = status.recv()
                self.serves_since = time.monotonic() if self.failure is None else None

    def describe_exit(self) -> str:
        """Return why the worker exited."""
        self.read_status()
        code = self.process.exitcode or 0
        how = f"by signal {-code}" if code < 0 else f"with status {code}"
        return self.failure or f"worker {self.process.pid} ended {how}"


class Workers:
    """Serve in several processes until SIGTERM or SIGINT. The parent has neither threads nor an event loop.

    A worker that exits is replaced, after a pause if workers exit repeatedly. The first signal waits for running
    requests, the second ends all processes at once.

    Args:
        database: As for `Server`.
        settings: The settings of each worker.
        number: The number of workers.
        on_ready: Called once, when all workers serve.
    """

    def __init__(
        self, database: str | DatabaseLocation, settings: Settings, number: int, on_ready: Callable[[Server], None]
    ) -> None:
        self._database = database
        self._settings = settings
        self._wanted = number
        self._on_ready: Callable[[Server], None] | None = on_ready
        self._workers: list[_Worker] = []
        self._ever_served = False
        self._first_exit = ""
        self._unstable_exits = 0
        self._next_fork = 0.0
        self._signals: list[int] = []

    def run(self) -> None:
        """Serve until a signal.

        Raises:
            ConfigurationError: No worker could start, the settings or the port do not allow it, or there is no fork.
        """
        if not hasattr(os, "fork"):
            msg = "this system can't fork: serve with one worker, and start several servers"
            raise ConfigurationError(msg)
        self._settings.check_address()
        self._sockets = open_sockets(self._settings.host, self._settings.port)
        self._server = Server(self._database, self._settings, sockets=self._sockets)
        with ExitStack() as stack:
            self._stop_read, self._stop_write = os.pipe()
            self._wake_read, self._wake_write = os.pipe()
            for end in (self._stop_read, self._wake_read, self._wake_write):
                stack.callback(os.close, end)
            for number in (signal.SIGTERM, signal.SIGINT):
                stack.callback(signal.signal, number, signal.signal(number, self._on_signal))
            stack.callback(self._shut_down)
            self._fork_missing()
            while not self._signals:
                self._supervise()
                self._wait()

    def _fork_missing(self) -> None:
        context = multiprocessing.get_context("fork")
        while len(self._workers) < self._wanted:
            try:
                _check_fork()
                self._workers.append(self._fork(context))
            except OSError as error:
                reason = f"no worker could be started: fork: {error.strerror}; {_FORK_REMEDY}"
                self._record_exit(reason, was_stable=False)
                return

    def _fork(self, context: "multiprocessing.context.ForkContext") -> _Worker:
        receiver, sender = multiprocessing.Pipe(duplex=False)
        with sender:
            process = context.Process(target=self._run_worker, args=(sender,), daemon=True)
            process.start()
        return _Worker(process, receiver)

    def _run_worker(self, status: "connection.Connection[Any, Any]") -> None:
        """Serve in a worker process."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all processes; the parent handles it
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.close(self._stop_write)
        try:
            asyncio.run(self._serve(status))
        except MimiError as error:
            with suppress(OSError):
                status.send(str(error))
            sys.exit(1)

    async def _serve(self, status: "connection.Connection[Any, Any]") -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()

        def stop() -> None:
            loop.remove_reader(self._stop_read)
            stopped.set()

        loop.add_reader(self._stop_read, stop)
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
        async with self._server:
            with suppress(OSError), status:  # OSError: the parent has exited, and the stop pipe is closed
                status.send(None)
            await stopped.wait()

    def _wait(self) -> None:
        """Wait for a status message, the exit of a worker, a signal, or the time of the next fork."""
        watched: list[Any] = [self._wake_read, *(worker.process.sentinel for worker in self._workers)]
        watched += [worker.status for worker in self._workers if worker.status is not None]
        is_missing = self._ever_served and len(self._workers) < self._wanted
        ready = connection.wait(watched, max(0.0, self._next_fork - time.monotonic()) if is_missing else None)
        if self._wake_read in ready:
            os.read(self._wake_read, 64)
        for worker in self._workers:
            if worker.status in ready:
                worker.read_status()

    def _supervise(self) -> None:
        """Replace workers that have exited, and report once that all serve."""
        self._remove_exited()
        serving = [worker for worker in self._workers if worker.serves_since is not None]
        self._ever_served = self._ever_served or bool(serving)
        if not self._workers and not self._ever_served:
            raise ConfigurationError(self._first_exit)
        if self._ever_served and time.monotonic() >= self._next_fork:
            self._fork_missing()
        if self._on_ready is not None and len(serving) == self._wanted:
            self._on_ready(self._server)
            self._on_ready = None

    def _remove_exited(self) -> None:
        for worker in [worker for worker in self._workers if not worker.process.is_alive()]:
            self._workers.remove(worker)
            reason = worker.describe_exit()
            self._ever_served = self._ever_served or worker.serves_since is not None
            self._record_exit(reason, was_stable=worker.is_stable)

    def _record_exit(self, reason: str, *, was_stable: bool) -> None:
        self._first_exit = self._first_exit or reason
        self._unstable_exits = 0 if was_stable else self._unstable_exits + 1
        pause = _PAUSES[min(self._unstable_exits, len(_PAUSES) - 1)]
        self._next_fork = time.monotonic() + pause
        if self._ever_served and not self._signals:
            _log.error("%s; another worker replaces it in %g s", reason, pause)

    def _shut_down(self) -> None:
        """Wait for the workers to stop. A second signal kills them, and then this process by the same signal."""
        self._wanted = 0
        os.close(self._stop_write)
        for listener in self._sockets:
            listener.close()
        while self._workers and len(self._signals) < 2:
            self._wait()
            self._remove_exited()
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
        if len(self._signals) > 1:
            signal.signal(self._signals[1], signal.SIG_DFL)
            signal.raise_signal(self._signals[1])

    def _on_signal(self, number: int, _: object) -> None:
        self._signals.append(number)
        os.write(self._wake_write, b"!")  # connection.wait() continues after a signal unless a pipe is readable


def _check_fork() -> None:
    """Fork and exit a child: a failed fork of `multiprocessing` would leak file descriptors."""
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
