"""Many processes that serve one port, forked from one that only looks after them.

The sockets listen before the first fork, and the parent keeps them open: while a worker dies and another one takes its
place, the others accept its connections, and none is refused. Workers stop at the end of a pipe that the parent alone
holds open: they end with it, however it ends.
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any, Final

import attrs

from ..errors import ConfigurationError, MimiError
from .listener import Server, listening
from .places import Place
from .settings import Settings

STEADY_SECONDS: Final = 1.0
"""How long a worker has served whose death is no reason to wait with the next one."""

_PAUSES = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Before the next fork, by how many workers have died in a row that were not steady; from there on the last one."""

_log = logging.getLogger(__name__)


@attrs.define(eq=False)
class _Worker:
    """A worker as its parent sees it: `news` is None once there can be none."""

    process: BaseProcess
    news: "connection.Connection[Any, Any] | None"
    serves_since: float | None = None
    reason: str | None = None

    @property
    def is_steady(self) -> bool:
        return self.serves_since is not None and time.monotonic() - self.serves_since >= STEADY_SECONDS

    def hear(self) -> None:
        """Read what it says, once: that it serves, or why it can't."""
        news, self.news = self.news, None
        if news is not None:
            with news, suppress(EOFError, OSError):  # it died without a word, or amid one
                self.reason = news.recv()
                self.serves_since = time.monotonic() if self.reason is None else None

    def death(self) -> str:
        """Say what it died of."""
        self.hear()
        status = self.process.exitcode or 0
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        return self.reason or f"worker {self.process.pid} ended {how}"


class Workers:
    """Serves in so many processes, until SIGTERM or SIGINT. It must be alone: no thread, no event loop.

    A worker that dies is replaced, after a pause where workers die again and again. The first signal lets requests end
    that are under way, the second ends all at once.

    Args:
        database: As for `Server`.
        settings: The same for each of them.
        number: How many.
        all_serve: Called once, as soon as all of them serve.
    """

    def __init__(
        self, database: str | Place, settings: Settings, number: int, all_serve: Callable[[Server], None]
    ) -> None:
        self._database = database
        self._settings = settings
        self._wanted = number
        self._all_serve: Callable[[Server], None] | None = all_serve
        self._crew: list[_Worker] = []
        self._ever_served = False
        self._first_death = ""
        self._quick_deaths = 0
        self._next_fork = 0.0
        self._signals: list[int] = []

    def run(self) -> None:
        """Serve until told to stop.

        Raises:
            ConfigurationError: No worker ever came up, the settings or the port forbid it, or this system can't fork.
        """
        if not hasattr(os, "fork"):
            msg = "this system can't fork: serve with one worker, and start several servers"
            raise ConfigurationError(msg)
        self._settings.check_address()
        self._sockets = listening(self._settings.host, self._settings.port)
        self._server = Server(self._database, self._settings, sockets=self._sockets)
        with ExitStack() as stack:
            self._lifeline, self._held = os.pipe()
            self._bell, self._rope = os.pipe()
            for end in (self._lifeline, self._bell, self._rope):
                stack.callback(os.close, end)
            stack.enter_context(self._heeding_signals())
            stack.callback(self._end)
            self._fork_missing()
            while not self._signals:
                self._look_after()
                self._wait()

    def _fork_missing(self) -> None:
        context = multiprocessing.get_context("fork")
        while len(self._crew) < self._wanted:
            try:
                _check_fork()
                self._crew.append(self._forked(context))
            except OSError as error:
                self._note_death(f"no worker could be made: {error.strerror}", was_steady=False)
                return

    def _forked(self, context: "multiprocessing.context.ForkContext") -> _Worker:
        hear, say = multiprocessing.Pipe(duplex=False)
        with ExitStack() as stack:
            stack.callback(say.close)
            stack.callback(hear.close)
            process = context.Process(target=self._work, args=(say,), daemon=True)
            process.start()
            stack.pop_all()
        say.close()
        return _Worker(process, hear)

    def _work(self, say: "connection.Connection[Any, Any]") -> None:
        """Be a worker."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent says what it means
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.close(self._held)
        try:
            asyncio.run(self._serve(say))
        except MimiError as error:
            with suppress(OSError):
                say.send(str(error))
            sys.exit(1)

    async def _serve(self, say: "connection.Connection[Any, Any]") -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()

        def let_go() -> None:
            loop.remove_reader(self._lifeline)
            stopped.set()

        loop.add_reader(self._lifeline, let_go)
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
        async with self._server:
            with suppress(OSError), say:  # nobody hears it any more: the end of the pipe is near
                say.send(None)
            await stopped.wait()

    def _wait(self) -> None:
        """Wait until a worker says something or dies, a signal comes, or a worker is to be forked."""
        watched: list[Any] = [self._bell, *(worker.process.sentinel for worker in self._crew)]
        watched += [worker.news for worker in self._crew if worker.news is not None]
        is_missing = self._ever_served and len(self._crew) < self._wanted
        ready = connection.wait(watched, max(0.0, self._next_fork - time.monotonic()) if is_missing else None)
        if self._bell in ready:
            os.read(self._bell, 64)
        for worker in self._crew:
            if worker.news in ready:
                worker.hear()

    def _look_after(self) -> None:
        """Replace who died, and tell when all serve."""
        self._bury()
        serving = [worker for worker in self._crew if worker.serves_since is not None]
        self._ever_served = self._ever_served or bool(serving)
        if not self._crew and not self._ever_served:
            raise ConfigurationError(self._first_death)
        if self._ever_served and time.monotonic() >= self._next_fork:
            self._fork_missing()
        if self._all_serve is not None and len(serving) == self._wanted:
            self._all_serve(self._server)
            self._all_serve = None

    def _bury(self) -> None:
        for worker in [each for each in self._crew if not each.process.is_alive()]:
            self._crew.remove(worker)
            death = worker.death()
            self._ever_served = self._ever_served or worker.serves_since is not None
            self._note_death(death, was_steady=worker.is_steady)

    def _note_death(self, death: str, *, was_steady: bool) -> None:
        self._first_death = self._first_death or death
        self._quick_deaths = 0 if was_steady else self._quick_deaths + 1
        pause = _PAUSES[min(self._quick_deaths, len(_PAUSES) - 1)]
        self._next_fork = time.monotonic() + pause
        if self._ever_served and not self._signals:
            _log.error("%s; another worker takes its place in %g s", death, pause)

    def _end(self) -> None:
        """Let all end what they do; at a second signal end them at once, and this process as that signal would."""
        self._wanted = 0
        os.close(self._held)
        for listener in self._sockets:
            listener.close()
        while self._crew and len(self._signals) < 2:
            self._wait()
            self._bury()
        for worker in self._crew:
            worker.process.kill()
            worker.process.join()
        if len(self._signals) > 1:
            signal.signal(self._signals[1], signal.SIG_DFL)
            signal.raise_signal(self._signals[1])

    @contextmanager
    def _heeding_signals(self) -> Iterator[None]:
        def heed(number: int, _: object) -> None:
            self._signals.append(number)
            os.write(self._rope, b"!")  # the wait goes on after a signal, unless there is something to read

        before = {number: signal.signal(number, heed) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _check_fork() -> None:
    """Fork for nothing: where that fails, nothing is lost, while each fork of `multiprocessing` loses descriptors."""
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
