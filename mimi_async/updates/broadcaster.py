"""The updates of all controllers of a core: subscriptions, and the order of deliveries.

blinker's own `send` stops at the first receiver that raises, calls in no order, and takes either sync or async
receivers. So updates are never sent by it: `receivers_for` lists the receivers of the signal, and one delivery calls
all. Subscriptions of `observe` are in a table of their own, in the order of the calls: closing one costs the same for
any number of controllers, where blinker would look through all receivers.
"""

import itertools
import weakref
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any, Generic, Self, TypeVar

import attrs
from blinker import Signal

from ..entry import Entry
from ..host_functions import validate_function
from .delivery import Delivery, DeliveryContext, Receiver, UserUpdate
from .stream import CoalescingBuffer, UpdateStream

S = TypeVar("S")

_SIGNATURE = "an observer is a function `observer(sender, *, current, old, error)`, async or not"


@attrs.define(eq=False, repr=False)
class Subscription:
    """One call of `observe`: it holds the receiver until it is closed. A context manager.

    Attributes:
        number: Its place in the order of subscriptions and updates.
        receiver: Called with each update.
        awaits_state: Whether the settled state is its first update.
        is_stream: Whether it fills an iterator, of which it is not known whether an update was taken.
        is_open: Whether it was not closed.
    """

    number: int
    receiver: Receiver
    _remove: Callable[[int], None] | None
    awaits_state: bool = False
    is_stream: bool = False
    is_open: bool = True

    def close(self) -> None:
        """End the subscription; an update that is being delivered does not reach it. Closing twice has no effect."""
        remove, self._remove, self.is_open = self._remove, None, False
        if remove is not None:
            remove(self.number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class UpdateBroadcaster(Generic[S]):
    """Delivers the updates of all controllers of one core.

    Args:
        spawn: Runs a coroutine as a task that the core owns.
        entry: The entry of the core, with its time limits.
        is_leaving: Returns whether the core is being left: only then a cancellation of a delivery counts.
        on_delivered: Called with the sender, an update that all subscriptions get, and whether it reached a receiver of
            the host, and no receiver failed.

    Attributes:
        user_updated: Sent as `(sender, *, current, old, error)`, after all subscriptions.
        observer_failed: Sent as `(sender, *, receiver, error)` when a receiver has raised, hung or blocked.
    """

    def __init__(
        self,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        entry: Entry,
        *,
        is_leaving: Callable[[], bool] = lambda: False,
        on_delivered: Callable[[S, UserUpdate, bool], None] = lambda _sender, _update, _is_reached: None,
    ) -> None:
        self.user_updated: Signal = Signal()
        self.observer_failed: Signal = Signal()
        self._context = DeliveryContext(
            entry, spawn, is_leaving, self.observer_failed, self._audience, self._disconnect, self._end_delivery
        )
        self._on_delivered = on_delivered
        self._numbers = itertools.count(1)
        self._subscriptions: dict[int, Subscription] = {}
        self._subscriptions_by_sender: dict[S, dict[int, Subscription]] = {}
        self._newest: dict[S, Delivery] = {}
        self._buffers: weakref.WeakSet[CoalescingBuffer] = weakref.WeakSet()
        self._is_closed = False

    def observe_all(self, receiver: Receiver) -> Subscription:
        """Subscribe to the updates of every sender."""
        validate_function(receiver, _SIGNATURE, None, current=None, old=None, error=None)
        number = next(self._numbers)
        self._subscriptions[number] = subscription = Subscription(number, receiver, self._subscriptions.__delitem__)
        return subscription

    def observe(self, sender: S, receiver: Receiver, *, replay: bool = False, is_stream: bool = False) -> Subscription:
        """Subscribe to the updates of one sender; with `replay`, its settled state comes first, once there is one."""
        if not is_stream:
            validate_function(receiver, _SIGNATURE, None, current=None, old=None, error=None)
        number = next(self._numbers)
        remove = partial(self._remove, sender)
        subscription = Subscription(number, receiver, remove, replay, is_stream)
        self._subscriptions_by_sender.setdefault(sender, {})[number] = subscription
        return subscription

    def updates(self, sender: S) -> UpdateStream:
        """Return the updates of one sender from now on as an iterator; it ends with `close`."""
        entry = self._context.entry
        entry.home.check()
        buffer = CoalescingBuffer()
        buffer.is_ended = self._is_closed
        self._buffers.add(buffer)
        return UpdateStream(buffer, self.observe(sender, buffer.put, is_stream=True).close, entry.wait)

    def close(self) -> None:
        """End all iterators, also later ones."""
        self._is_closed = True
        for buffer in list(self._buffers):
            buffer.end()

    def enqueue(self, sender: S, update: UserUpdate, *, is_for_all: bool, is_settled: bool) -> Delivery | None:
        """Enqueue an update of the sender; None where no receiver wants it. `Delivery` explains the arguments."""
        own = self._subscriptions_by_sender.get(sender)
        if is_for_all:
            is_wanted = bool(own or self._subscriptions or self.user_updated.receivers)
        else:
            is_wanted = is_settled and any(subscription.awaits_state for subscription in (own or {}).values())
        if not is_wanted:
            return None
        number, previous = next(self._numbers), self._newest.get(sender)
        delivery = Delivery(self._context, number, sender, update, is_for_all, is_settled, previous)
        self._newest[sender] = delivery
        return delivery

    async def wait_delivered(self, sender: S) -> None:
        """Wait until the updates that the sender has enqueued so far were delivered."""
        newest = self._newest.get(sender)
        if newest is not None:
            await newest.wait()

    def _disconnect(self, sender: S, receiver: Receiver) -> None:
        """End all subscriptions of a receiver, and its connection to the signal."""
        self.user_updated.disconnect(receiver)
        for subscription in (
            *self._subscriptions.values(),
            *self._subscriptions_by_sender.get(sender, {}).values(),
        ):
            if subscription.receiver == receiver:
                subscription.close()

    def _audience(self, delivery: Delivery) -> Iterator[tuple[Receiver, UserUpdate]]:
        """Yield each receiver with its update: subscriptions in their order, then the raw receivers of the signal."""
        update, everywhere = delivery.update, self._subscriptions
        own = self._subscriptions_by_sender.get(delivery.sender)
        subscriptions = list((own or everywhere).values())
        if own and everywhere:
            subscriptions += everywhere.values()
            subscriptions.sort(key=lambda subscription: subscription.number)
        number, is_for_all, delivered = delivery.number, delivery.is_for_all, update
        for subscription in subscriptions:
            if subscription.number > number or not subscription.is_open:
                continue
            if subscription.awaits_state:
                if not delivery.is_settled:
                    continue
                delivered, subscription.awaits_state = UserUpdate(update.current, None, None), False
            elif is_for_all:
                delivered = update
            else:
                continue
            if not subscription.is_stream:
                delivery.has_receiver = True
            yield subscription.receiver, delivered
        if is_for_all and self.user_updated.receivers and not self.user_updated.is_muted:
            for receiver in list(self.user_updated.receivers_for(delivery.sender)):
                delivery.has_receiver = True
                yield receiver, update

    def _end_delivery(self, delivery: Delivery, has_not_failed: bool) -> None:
        is_newest = self._newest.get(delivery.sender) is delivery
        if delivery.is_for_all:  # where another update waits, that one will say what the host holds
            is_reached = has_not_failed and delivery.has_receiver and is_newest
            self._on_delivered(delivery.sender, delivery.update, is_reached)
        if is_newest:
            del self._newest[delivery.sender]

    def _remove(self, sender: S, number: int) -> None:
        subscriptions = self._subscriptions_by_sender[sender]
        del subscriptions[number]
        if not subscriptions:
            del self._subscriptions_by_sender[sender]
