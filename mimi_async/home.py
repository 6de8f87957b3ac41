"""Where a thing lives that is opened: in one event loop of one process, as long as somebody has entered it."""

import asyncio
import os

from .errors import ConfigurationError


class Home:
    """Counts who has entered, and refuses whoever comes from another event loop or from a forked child.

    Args:
        what: The thing, for messages: "the identity store in PostgreSQL".
    """

    __slots__ = ("_loop", "_pid", "entries", "what")

    def __init__(self, what: str) -> None:
        self.what: str = what
        self.entries: int = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid: int | None = None

    def enter(self) -> bool:
        """Count one more; return whether it is the first, after a loop that was closed with it open as well.

        Raises:
            ConfigurationError: It lives elsewhere.
        """
        if self._loop is not None and self._loop.is_closed():
            self.entries = 0
        self.check()
        self._loop, self._pid = asyncio.get_running_loop(), os.getpid()
        self.entries += 1
        return self.entries == 1

    def leave(self) -> bool:
        """Count one less; return whether it was the last.

        Raises:
            ConfigurationError: It lives elsewhere.
        """
        self.check()
        self.entries -= 1
        return self.entries == 0

    def check(self) -> None:
        """Refuse a use from elsewhere; a thing that nobody has entered lives nowhere.

        Raises:
            ConfigurationError: It lives elsewhere.
        """
        if not self.entries:
            return
        if self._pid != os.getpid():
            msg = f"{self.what} was opened before the process forked: open one of its own in each process"
            raise ConfigurationError(msg)
        if self._loop is not asyncio.get_running_loop():
            msg = f"{self.what} is open in another event loop: use one for each loop"
            raise ConfigurationError(msg)
