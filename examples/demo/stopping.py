"""End a program of several processes by a signal: its clean-up runs before it exits."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedError(Exception):
    """A signal has ended the program.

    Attributes:
        status: The exit status that a shell expects: 128 + the signal, 130 after a Ctrl-C.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.status = 128 + number


async def run_until_stopped(work: Coroutine[Any, Any, _T]) -> _T:
    """Return the result of the work. The first signal cancels it; further ones do not interrupt its clean-up.

    Raises:
        StoppedError: A signal has cancelled the work, and the work has ended.
    """
    running, numbers = asyncio.ensure_future(work), list[int]()

    def stop(number: int) -> None:
        numbers.append(number)
        if len(numbers) == 1:
            running.cancel()

    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        return await running
    except asyncio.CancelledError:
        if not numbers:
            raise
    raise StoppedError(numbers[0])
