"""Signals: who is told of an update, and in which order.

blinker's own `send` stops at the first receiver that raises, calls in no order, and takes either sync or async
receivers. So updates are never sent by it: `receivers_for` says who listens, and one delivery calls them all.
Subscriptions made by `observe` stand in a table of their own, in the order they were made: closing one costs the same
however many controllers are alive, where blinker would look through all of them.
"""

import asyncio
import itertools
import logging
import weakref
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any, Generic, Self, TypeVar

from blinker import Signal

from ..errors import described
from .delivery import Receiver, Round, UserUpdate, tell_each
from .updates import Latest, Updates

_log = logging.getLogger(__name__)

S = TypeVar("S")


class Subscription:
    """One call of `observe`: it holds the receiver until it is closed. A context manager.

    Attributes:
        is_open: Whether it is still told.
    """

    __slots__ = ("_forget", "awaits_state", "is_open", "number", "receiver")

    def __init__(self, number: int, receiver: Receiver, forget: Callable[[int], None], *, replay: bool = False) -> None:
        self.number: int = number
        self.receiver: Receiver = receiver
        self.awaits_state: bool = replay
        self.is_open: bool = True
        self._forget: Callable[[int], None] | None = forget

    def close(self) -> None:
        """Tell the receiver nothing any more, not even what is on its way. Closing twice is fine."""
        if self._forget is not None:
            forget, self._forget, self.is_open = self._forget, None, False
            forget(self.number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Place(Generic[S]):
    """A place in the line of a sender, taken under its lock: updates are delivered in the order of commits.

    Attributes:
        number: Only subscriptions with a lower number are told.
        sender: Whose update it is.
        news: What everybody is told, or None.
    """

    __slots__ = ("_before", "_is_settled", "_left", "_update", "news", "number", "sender")

    def __init__(
        self,
        number: int,
        sender: S,
        update: UserUpdate,
        before: "Place[S] | None",
        *,
        is_news: bool,
        is_settled: bool,
    ) -> None:
        self.number: int = number
        self.sender: S = sender
        self.news: UserUpdate | None = update if is_news else None
        self._update = update
        self._is_settled = is_settled
        self._before = before
        self._left: asyncio.Future[None] | bool = False

    @property
    def state(self) -> UserUpdate | None:
        """What a subscription is told that waits for the settled state, None while there is none."""
        return UserUpdate(self._update.current, None, None) if self._is_settled else None

    @property
    def is_first(self) -> bool:
        """Whether nobody stands before it."""
        return self._before is None

    async def reached(self) -> None:
        """Wait until the update before was delivered."""
        before, self._before = self._before, None
        if before is not None:
            await before.left()

    async def left(self) -> None:
        """Wait until this one was delivered; for the one who stands behind."""
        if self._left is False:
            self._left = asyncio.get_running_loop().create_future()
        if isinstance(self._left, asyncio.Future):
            await self._left

    def leave(self) -> None:
        """Let the next one go on."""
        if isinstance(self._left, asyncio.Future) and not self._left.done():
            self._left.set_result(None)
        self._left = True


class Announcer(Generic[S]):
    """Tells the updates of all senders of one core.

    Args:
        own: Runs a coroutine as a task of the core's.
        is_leaving: Tells whether the core is left: only then a delivery is cancelled.
        patience: Seconds that an async receiver may take.
        grace: Seconds after that for it to end, before it is disconnected and the delivery goes on without it.

    Attributes:
        user_updated: Told `(sender, *, current, old, error)`, after all subscriptions.
        observer_failed: Told `(sender, *, receiver, error)` when a receiver has raised, hung or blocked.
    """

    def __init__(
        self,
        own: Callable[[Coroutine[Any, Any, None]], object],
        *,
        is_leaving: Callable[[], bool] = lambda: False,
        patience: float = 30.0,
        grace: float = 1.0,
    ) -> None:
        self.user_updated: Signal = Signal()
        self.observer_failed: Signal = Signal()
        self.own = own
        self.is_leaving = is_leaving
        self.patience = patience
        self.grace = grace
        self._numbers = itertools.count(1)
        self._everyone: dict[int, Subscription] = {}
        self._of_sender: dict[S, dict[int, Subscription]] = {}
        self._last_places: dict[S, Place[S]] = {}
        self._iterations: weakref.WeakSet[Latest] = weakref.WeakSet()
        self._is_closed = False

    def observe_all(self, receiver: Receiver) -> Subscription:
        """Subscribe to the updates of every sender."""
        number = next(self._numbers)
        self._everyone[number] = subscription = Subscription(number, receiver, self._everyone.__delitem__)
        return subscription

    def observe(self, sender: S, receiver: Receiver, *, replay: bool = False) -> Subscription:
        """Subscribe to the updates of one sender; with `replay`, to its settled state first, once it has one."""
        number = next(self._numbers)
        subscription = Subscription(number, receiver, partial(self._forget, sender), replay=replay)
        self._of_sender.setdefault(sender, {})[number] = subscription
        return subscription

    def updates(self, sender: S) -> Updates:
        """Return the updates of one sender as an iterator that ends with `close`."""
        latest = Latest()
        latest.is_ended = self._is_closed
        self._iterations.add(latest)
        return Updates(latest, self.observe(sender, latest.put).close)

    def close(self) -> None:
        """End all iterations, those to come too."""
        self._is_closed = True
        for latest in list(self._iterations):
            latest.end()

    def take_place(self, sender: S, update: UserUpdate, *, is_news: bool, is_settled: bool) -> Place[S] | None:
        """Take the next place in the sender's line; None where there is nobody to be told anything.

        Args:
            sender: Whose update it is.
            update: What it is.
            is_news: Whether everybody is told.
            is_settled: Whether its `current` is known: then it is told to the subscriptions that wait for that.
        """
        own = self._of_sender.get(sender)
        if is_news:
            is_wanted = bool(own or self._everyone or self.user_updated.receivers)
        else:
            is_wanted = is_settled and any(subscription.awaits_state for subscription in (own or {}).values())
        if not is_wanted:
            return None
        before = self._last_places.get(sender)
        place = Place(next(self._numbers), sender, update, before, is_news=is_news, is_settled=is_settled)
        self._last_places[sender] = place
        return place

    def deliver(self, place: Place[S]) -> Coroutine[Any, Any, None]:
        """Wait until the place is reached and tell everybody, one at a time; no receiver can fail the caller."""
        delivery = Round(place.sender, self._audience(place), self, partial(self._leave, place))
        return delivery.drive() if place.is_first else self._deliver_in_line(place, delivery)

    async def _deliver_in_line(self, place: Place[S], delivery: Round) -> None:
        try:
            await place.reached()
        except asyncio.CancelledError:
            self._leave(place)
            raise
        await delivery.drive()

    def disconnect(self, sender: S, receiver: Receiver) -> None:
        """Tell a receiver nothing any more, however it was connected."""
        self.user_updated.disconnect(receiver)
        for subscription in (*self._everyone.values(), *self._of_sender.get(sender, {}).values()):
            if subscription.receiver == receiver:
                subscription.close()

    def report(self, sender: S, receiver: Receiver, failed: BaseException) -> None:
        """Log that a receiver failed, without the text of the failure, and say so on `observer_failed`."""
        name = getattr(receiver, "__qualname__", type(receiver).__name__)
        _log.warning("the observer %s failed: %s; the next one is told all the same", name, described(failed))
        tell_each(self.observer_failed, sender, receiver=receiver, error=failed)

    def _audience(self, place: Place[S]) -> Iterator[tuple[Receiver, UserUpdate]]:
        """Yield who is to be told, and what: subscriptions in their order, then the raw receivers of the signal."""
        own = self._of_sender.get(place.sender)
        subscriptions = [*self._everyone.values(), *own.values()] if own else list(self._everyone.values())
        if own and self._everyone:
            subscriptions.sort(key=lambda subscription: subscription.number)
        for subscription in subscriptions:
            if subscription.number > place.number or not subscription.is_open:
                continue
            update = place.state if subscription.awaits_state else place.news
            if update is not None:
                subscription.awaits_state = False
                yield subscription.receiver, update
        if place.news is not None and self.user_updated.receivers and not self.user_updated.is_muted:
            for receiver in list(self.user_updated.receivers_for(place.sender)):
                yield receiver, place.news

    def _leave(self, place: Place[S]) -> None:
        place.leave()
        if self._last_places.get(place.sender) is place:
            del self._last_places[place.sender]

    def _forget(self, sender: S, number: int) -> None:
        subscriptions = self._of_sender[sender]
        del subscriptions[number]
        if not subscriptions:
            del self._of_sender[sender]
