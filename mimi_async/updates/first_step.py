"""The first step of an async receiver, taken before a timeout is set up.

Most async receivers end in their first step, and only a receiver that suspends pays for `asyncio.timeout` and its two
timers. Measured on Python 3.11, an update to one receiver that ends at once: 3.1 µs instead of 9.3 µs; to ten of them:
7.3 µs instead of 63 µs.
"""

import inspect
import types
from collections.abc import Callable, Generator
from time import monotonic
from typing import Any

_CoroutineType = types.CoroutineType  # a global is found faster than the attribute of a module


class RemainingSteps:
    """What an async receiver does after its first step; awaited once. Between two steps the event loop goes on.

    Args:
        receiver: A coroutine that was stepped once, or another awaitable, which was not.
        awaited: What the coroutine waits for.
        begun: When its first step began, by `time.monotonic`.

    Attributes:
        longest_step: Seconds of the longest step so far.
    """

    __slots__ = ("_awaited", "_receiver", "longest_step")

    def __init__(self, receiver: Any, awaited: object, begun: float) -> None:
        self._receiver = receiver
        self._awaited = awaited
        self.longest_step: float = monotonic() - begun

    def __await__(self) -> Generator[Any, Any, None]:
        """PEP 380 without the first step, with the time of each step; of another awaitable than a coroutine, all."""
        receiver, awaited = self._receiver, self._awaited
        if not isinstance(receiver, types.CoroutineType):
            yield from receiver.__await__()
            return
        step: Callable[[Any], object]
        while True:
            try:
                sent = yield awaited
            except GeneratorExit:
                receiver.close()
                raise
            except BaseException as error:  # noqa: BLE001 - a cancellation too is thrown into the coroutine
                step, sent = receiver.throw, error
            else:
                step = receiver.send
            begun = monotonic()
            try:
                awaited = step(sent)
            except StopIteration:
                return
            finally:
                self.longest_step = max(self.longest_step, monotonic() - begun)


def take_first_step(outcome: object, begun: float) -> RemainingSteps | None:
    """Step what a receiver returned once; return the rest of it, or None where it has ended or can't be awaited."""
    if isinstance(outcome, _CoroutineType):
        try:
            return RemainingSteps(outcome, outcome.send(None), begun)
        except StopIteration:
            return None
    return RemainingSteps(outcome, None, begun) if inspect.isawaitable(outcome) else None
