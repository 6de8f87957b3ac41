"""One delivery: each receiver in turn, and what happens when one of them misbehaves."""

import asyncio
import contextvars
import inspect
import logging
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import suppress
from typing import Any, Protocol

import attrs
from blinker import Signal

from ..errors import MimiError, described
from ..identity import MimiUser

_log = logging.getLogger(__name__)
_delivering: contextvars.ContextVar[bool] = contextvars.ContextVar("mimi_async_delivering", default=False)


def is_delivering() -> bool:
    """Whether this runs under a delivery, where waiting for one's own announcement would wait for oneself."""
    return _delivering.get()


@attrs.frozen
class UserUpdate:
    """What changed, or failed.

    Attributes:
        current: The user now.
        old: The user before: the `current` of the update before this one.
        error: What led to it, None for what was asked for.
    """

    current: MimiUser | None
    old: MimiUser | None
    error: MimiError | None


class Receiver(Protocol):
    """Who is told of updates: a plain function or a coroutine function."""

    def __call__(
        self, sender: Any, /, *, current: MimiUser | None, old: MimiUser | None, error: MimiError | None
    ) -> Awaitable[object] | object:
        """Take the update; `sender` is the `AuthController`."""


class Manners(Protocol):
    """What a delivery asks of the one who makes it."""

    patience: float
    grace: float

    @property
    def own(self) -> Callable[[Coroutine[Any, Any, None]], object]:
        """Runs a coroutine as a task of the core's."""

    @property
    def is_leaving(self) -> Callable[[], bool]:
        """Tells whether the core is left, and cancels what goes on."""

    def report(self, sender: Any, receiver: Receiver, failed: BaseException) -> None:
        """Say that a receiver failed."""

    def disconnect(self, sender: Any, receiver: Receiver) -> None:
        """Tell the receiver nothing any more."""


class Round:
    """The delivery of one update to its audience, one receiver at a time, none of which can fail the caller.

    A receiver runs in the task that delivers. One that has swallowed its cancellation keeps that task: the rest of the
    audience is then told by another, and the first ends when the receiver lets it.

    Args:
        sender: Whose update it is.
        audience: The receivers, each with what it is told.
        manners: Patience, and whom to tell of failures.
        ended: Called when everybody was told.
    """

    __slots__ = ("_audience", "_driver", "_ended", "_manners", "_sender")

    def __init__(
        self,
        sender: object,
        audience: Iterator[tuple[Receiver, UserUpdate]],
        manners: Manners,
        ended: Callable[[], None],
    ) -> None:
        self._sender = sender
        self._audience = audience
        self._manners = manners
        self._ended = ended
        self._driver = 0

    async def drive(self) -> None:
        """Tell the audience, or what is left of it."""
        loop, task, sender = asyncio.get_running_loop(), asyncio.current_task(), self._sender
        driver, token, patience = self._driver, _delivering.set(True), self._manners.patience
        now = loop.time()
        try:
            for receiver, update in self._audience:
                failed: BaseException | None = None
                begun, cancels = now, task.cancelling() if task else 0
                try:
                    outcome = receiver(sender, current=update.current, old=update.old, error=update.error)
                    if outcome is not None and (rest := _rest_of(outcome)) is not None:
                        await self._patiently(receiver, rest)
                except asyncio.CancelledError as error:
                    failed = error
                except Exception as error:  # noqa: BLE001 - a receiver is somebody else's code, and may hurt nobody but itself
                    failed = error
                if task and task.cancelling() > cancels:
                    await self._go_on_uncancelled(task, cancels)
                    failed = failed or asyncio.CancelledError()
                if self._driver != driver:
                    return
                now = loop.time()
                if failed is None and now - begun > patience:
                    failed = TimeoutError("it took longer than a receiver may take, or blocked the event loop")
                if failed is not None:
                    self._manners.report(sender, receiver, failed)
                    now = loop.time()
        finally:
            _delivering.reset(token)
            if self._driver == driver:
                self._ended()

    async def _patiently(self, receiver: Receiver, rest: Awaitable[object]) -> None:
        """Await the rest of what a receiver does; only one that suspends pays for a timeout."""
        patience = self._manners.patience
        loop = asyncio.get_running_loop()
        guard = loop.call_later(patience + self._manners.grace, self._go_on_without, receiver)
        try:
            async with asyncio.timeout(patience):
                await rest
        finally:
            guard.cancel()

    async def _go_on_uncancelled(self, task: "asyncio.Task[object]", cancels: int) -> None:
        """Take back a cancellation, unless it is the core's: a receiver has cancelled the task that it runs in."""
        if self._manners.is_leaving():
            raise asyncio.CancelledError
        while task.cancelling() > cancels:
            task.uncancel()
        with suppress(asyncio.CancelledError):  # where the receiver did not wait, it comes at the next chance: now
            await asyncio.sleep(0)

    def _go_on_without(self, receiver: Receiver) -> None:
        self._driver += 1
        self._manners.disconnect(self._sender, receiver)
        late = TimeoutError("it did not end after it was cancelled, and was disconnected")
        self._manners.report(self._sender, receiver, late)
        self._manners.own(self.drive())


def _rest_of(outcome: object) -> Awaitable[object] | None:
    """Step what a receiver returned once; return what is left to be awaited, None where nothing is."""
    if isinstance(outcome, types.CoroutineType):
        try:
            awaited = outcome.send(None)
        except StopIteration:
            return None
        return _rest(outcome, awaited)
    return outcome if inspect.isawaitable(outcome) else None


@types.coroutine
def _rest(coroutine: Coroutine[Any, Any, object], awaited: object) -> Generator[Any, Any, None]:
    """Await the rest of a coroutine that was stepped once and waits for `awaited` (PEP 380, without the first step)."""
    step: Callable[[Any], object]
    while True:
        try:
            sent = yield awaited
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as error:  # noqa: BLE001 - cancellation too goes where it belongs: into the coroutine
            step, sent = coroutine.throw, error
        else:
            step = coroutine.send
        try:
            awaited = step(sent)
        except StopIteration:
            return


def tell_each(signal: Signal, sender: object, **facts: object) -> None:
    """Call every receiver of a signal of failures; these are plain functions, and one that raises is logged."""
    for receiver in list(signal.receivers_for(sender)):
        try:
            outcome = receiver(sender, **facts)
        except Exception as error:  # noqa: BLE001 - a receiver is somebody else's code, and may hurt nobody but itself
            _log.error("a receiver of a failure signal failed itself: %s", described(error))
        else:
            if inspect.iscoroutine(outcome):
                outcome.close()
                _log.error("a receiver of a failure signal must be a plain function; a coroutine was not awaited")
