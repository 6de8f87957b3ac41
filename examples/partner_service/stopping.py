"""Programs of several processes that a signal ends in good order: what they have started is ended, too."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedError(Exception):
    """A signal has ended the program.

    Attributes:
        status: What a shell expects it to exit with: 130 after a Ctrl-C.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.status = 128 + number


async def run_until_stopped(work: Coroutine[Any, Any, _T]) -> _T:
    """Return what the work comes to. A signal cancels it, once: further ones cut off nothing that it does at its end.

    Raises:
        StoppedError: There was a signal, and the work has ended.
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
