"""The delivery of one update: each receiver, that is observer, in its order; also one that fails."""

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any, NamedTuple, Protocol

import attrs
from blinker import Signal

from ..entry import Entry
from ..errors import MimiError, describe_exception
from ..host_functions import place_of
from ..identity import MimiUser
from .first_step import RemainingSteps, take_first_step

_log = logging.getLogger(__name__)
_delivering: contextvars.ContextVar["Delivery | None"] = contextvars.ContextVar("mimi_async_delivering", default=None)

# What `Delivery.run` knows of a receiver before it calls it, with the types of its variables.
_NOT_SUSPENDED: RemainingSteps | None = None
_NOT_FAILED: BaseException | None = None


def is_delivering() -> bool:
    """Return whether this runs under a delivery, where waiting for its own update would wait for itself."""
    delivery = _delivering.get()  # a task that a receiver has started outlives it
    return delivery is not None and not delivery.has_ended


class UserUpdate(NamedTuple):  # each announcement makes one: 0.2 µs less than a frozen attrs class
    """A change of the user, or a failure.

    Attributes:
        current: The user now.
        old: The user before: the `current` of the update before this one.
        error: The error that led to it, None for a change that was asked for.
    """

    current: MimiUser | None
    old: MimiUser | None
    error: MimiError | None


class Receiver(Protocol):
    """An observer, which receives updates: a plain function or a coroutine function."""

    def __call__(
        self, sender: Any, /, *, current: MimiUser | None, old: MimiUser | None, error: MimiError | None
    ) -> Awaitable[object] | object:
        """Take the update; `sender` is the `AuthController`."""


@attrs.frozen(eq=False)
class DeliveryContext:
    """What the deliveries of one core share.

    Attributes:
        entry: Has the time limits `receiver`, `receiver_cancel` and `blocking`.
        spawn: Runs a coroutine as a task that the core owns.
        is_leaving: Returns whether the core is being left: only then a cancellation of a delivery counts.
        observer_failed: Sent when a receiver has raised, hung or blocked.
        audience: Yields the receivers of a delivery, each with its update.
        disconnect: Called with the sender and a receiver that gets no update any more.
        on_end: Called at the end of a delivery, with whether no receiver has failed.
    """

    entry: Entry
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    is_leaving: Callable[[], bool]
    observer_failed: Signal
    audience: Callable[["Delivery"], Iterator[tuple[Receiver, UserUpdate]]]
    disconnect: Callable[[Any, Receiver], None]
    on_end: Callable[["Delivery", bool], None]


@attrs.define(eq=False, repr=False)
class Delivery:
    """One update of a controller: enqueued under its lock, and delivered after it to one receiver after the other.

    The updates of a controller are delivered in the order of commits. A receiver cannot fail the caller. It runs in the
    task that delivers; if it suppresses its cancellation, it keeps that task: another task then calls the rest of the
    audience, and the first task ends when the receiver does.

    Attributes:
        number: Only subscriptions with a lower number get the update.
        sender: The controller that the update belongs to.
        update: The update.
        is_for_all: Whether all subscriptions get it.
        is_settled: Whether its `current` is known: then a subscription that waits for the settled state gets that.
        has_receiver: Whether a receiver of the host got it; an iterator does not count.
        has_ended: Whether each receiver was called.
    """

    _context: DeliveryContext
    number: int
    sender: Any
    update: UserUpdate
    is_for_all: bool
    is_settled: bool
    _previous: "Delivery | None"
    has_receiver: bool = False
    has_ended: bool = False
    _has_failed: bool = False
    _audience: Iterator[tuple[Receiver, UserUpdate]] | None = None
    _runner: int = 0  # the number of the task that delivers; a receiver may keep an earlier one
    _ended: asyncio.Event | None = None  # from the first wait on

    async def wait(self) -> None:
        """Wait until the delivery has ended."""
        if not self.has_ended:
            self._ended = self._ended or asyncio.Event()
            await self._ended.wait()

    async def run(self) -> None:
        """Deliver the update, after the deliveries before it; go on with the receivers that were not called yet."""
        task: asyncio.Task[object] = asyncio.current_task()  # type: ignore[assignment]  # a delivery runs in a task
        runner, token, cancels = self._runner, _delivering.set(self), task.cancelling()
        try:
            if self._previous is not None:
                await self._wait_for(self._previous)
            self._audience, now = self._audience or self._context.audience(self), monotonic()
            blocking = self._context.entry.timeouts.blocking
            for receiver, (current, old, cause) in self._audience:
                rest, failure, started = _NOT_SUSPENDED, _NOT_FAILED, now
                try:
                    outcome = receiver(self.sender, current=current, old=old, error=cause)
                    if outcome is not None and (rest := take_first_step(outcome, started)) is not None:
                        await self._finish(receiver, rest)
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the next receiver is called
                    failure = error
                if task.cancelling() > cancels:
                    failure = await self._revoke_cancellation(task, cancels, failure)
                now = monotonic()
                if failure is not None or rest is not None or now - started >= blocking:
                    if not self._examine(runner, receiver, failure, now - started, rest):
                        return
                    now = monotonic()
        finally:
            self._leave(runner, token)

    async def _wait_for(self, previous: "Delivery") -> None:
        """Wait for the delivery before this one, and release it."""
        await previous.wait()
        self._previous = None

    def _leave(self, runner: int, token: "contextvars.Token[Delivery | None]") -> None:
        _delivering.reset(token)
        if self._runner == runner:
            self._end()

    async def _finish(self, receiver: Receiver, rest: RemainingSteps) -> None:
        """Await the rest of a receiver; only a receiver that suspends pays for a timeout."""
        timeouts = self._context.entry.timeouts
        late = timeouts.receiver + timeouts.receiver_cancel
        guard = asyncio.get_running_loop().call_later(late, self._go_on_without, receiver)
        try:
            async with asyncio.timeout(timeouts.receiver):
                await rest
        finally:
            guard.cancel()

    async def _revoke_cancellation(
        self, task: "asyncio.Task[object]", cancels: int, failure: BaseException | None
    ) -> BaseException:
        """Take back a cancellation by a receiver, which runs in the delivering task; one by the core counts."""
        if self._context.is_leaving():
            raise asyncio.CancelledError
        while task.cancelling() > cancels:
            task.uncancel()
        with suppress(asyncio.CancelledError):  # if the receiver did not wait, it is raised at the next await: here
            await asyncio.sleep(0)
        return failure or asyncio.CancelledError()

    def _examine(
        self,
        runner: int,
        receiver: Receiver,
        failure: BaseException | None,
        seconds: float,
        rest: RemainingSteps | None,
    ) -> bool:
        """Report a receiver that has failed, blocked or run late; return whether this task still delivers."""
        timeouts, longest_step = self._context.entry.timeouts, seconds if rest is None else rest.longest_step
        if longest_step >= timeouts.blocking:
            advice = "use `async def`, and asyncio.to_thread for what blocks"
            what = f"blocked the event loop for {longest_step:.2f} s: {advice}"
            _log.warning("delivery: the observer %s %s", place_of(receiver), what)
            failed = self._context.observer_failed  # though the receiver has got the update
            send_safely(failed, self.sender, receiver=receiver, error=TimeoutError(f"it {what}"))
        if self._runner != runner:
            return False
        if failure is None and rest is not None and seconds > timeouts.receiver:
            failure = TimeoutError("it took longer than a receiver may take")
        if failure is not None:
            self._report(receiver, failure)
        return True

    def _go_on_without(self, receiver: Receiver) -> None:
        self._runner += 1
        self._context.disconnect(self.sender, receiver)
        self._report(receiver, TimeoutError("it did not end after it was cancelled, and was disconnected"))
        self._context.spawn(self.run())

    def _report(self, receiver: Receiver, failure: BaseException) -> None:
        self._has_failed = True
        name = getattr(receiver, "__qualname__", type(receiver).__name__)
        what = describe_exception(failure)  # without its text
        _log.warning("delivery: the observer %s failed: %s; the next observer is called", name, what)
        send_safely(self._context.observer_failed, self.sender, receiver=receiver, error=failure)

    def _end(self) -> None:
        self.has_ended = True
        self._context.on_end(self, not self._has_failed)
        if self._ended is not None:
            self._ended.set()


def send_safely(signal: Signal, sender: object, **facts: object) -> None:
    """Call each receiver of a failure signal; these are plain functions. A receiver that raises is logged."""
    for receiver in list(signal.receivers_for(sender)):
        try:
            outcome = receiver(sender, **facts)
        except Exception as error:  # noqa: BLE001 - host code may raise anything; the next receiver is called
            _log.error("a receiver of a failure signal has failed: %s", describe_exception(error))
        else:
            if inspect.iscoroutine(outcome):
                outcome.close()
                _log.error("a receiver of a failure signal must be a plain function; a coroutine was not awaited")
