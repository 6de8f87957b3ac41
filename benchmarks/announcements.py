"""What telling the observers costs, and closing a subscription, also where many accounts are alive."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from blinker import Signal

from mimi_async import AuthController, MimiUser, UserUpdate
from mimi_async.auth.actor import Shared
from mimi_async.auth.records import Records
from mimi_async.auth.signals import Announcer
from mimi_async.auth.turns import Turns
from mimi_async.identity import AnonymousId
from mimi_async.stores import MemoryStore
from mimi_async.wire import Reply, Request

from .harness import Line, Scale, each, in_turn

_USER = MimiUser(id="0" * 32, anonymous_id=AnonymousId("00000000-0000-0000-0000-000000000000"))

Receiver = Callable[..., Awaitable[None]]


def _receivers(count: int) -> list[Receiver]:
    def receiver() -> Receiver:
        async def told(_: object, *, current: object, old: object, error: object) -> None:
            del current, old, error

        return told

    return [receiver() for _ in range(count)]


async def announcements(scale: Scale) -> AsyncIterator[Line]:
    """One announcement, to one receiver and to ten."""
    times = scale.of(20_000)
    for count, goal, moonshot in ((1, 1.5, 1.2), (10, 1.0, 0.6)):
        receivers = _receivers(count)
        shared, (auth,) = _controllers(1)
        for receiver in receivers:
            auth.observe(receiver)
        ours, theirs = await in_turn(
            partial(each, partial(_announce, shared, auth), times // count),
            partial(each, _sending(auth, receivers), times // count),
            2 * scale.pairs,
        )
        yield Line(
            what=f"one announcement, {count} async receiver{'s'[: count - 1]}",
            against="blinker's send_async",
            ours=ours,
            theirs=theirs,
            goal=goal,
            moonshot=moonshot,
            kind="time",
        )


async def crowd(scale: Scale) -> AsyncIterator[Line]:
    """The same, and closing a subscription, with 100,000 controllers alive, all of them observed."""
    (receiver,) = _receivers(1)
    ((many, crowd), (few, (alone,))) = _controllers(scale.of(100_000)), _controllers(1)
    for auth in (*crowd, alone):
        auth.observe(receiver)
    someone = crowd[len(crowd) // 2]

    async def close(auth: AuthController) -> None:
        auth.observe(receiver).close()

    against = "with 1 alive"
    for what, among_many, single in (
        ("one announcement", partial(_announce, many, someone), partial(_announce, few, alone)),
        ("opening and closing a subscription", partial(close, someone), partial(close, alone)),
    ):
        times = scale.of(20_000)
        ours, theirs = await in_turn(partial(each, among_many, times), partial(each, single, times), 2 * scale.pairs)
        yield Line(
            what=f"{what}, {len(crowd):,} controllers alive",
            against=against,
            ours=ours,
            theirs=theirs,
            goal=1.2,
            moonshot=1.0,
            kind="time",
        )


def _controllers(count: int) -> tuple[Shared, list[AuthController]]:
    turns = Turns()
    announcer: Announcer[Any] = Announcer(turns.own)
    shared = Shared(records=Records(_silent, MemoryStore(), None), turns=turns, announcer=announcer)
    return shared, [AuthController(f"account-{number}", shared) for number in range(count)]


async def _silent(request: Request) -> Reply:
    raise AssertionError(request)


def _announce(shared: Shared, auth: AuthController) -> Awaitable[None]:
    """Do what a turn does after its commit."""
    place = shared.announcer.take_place(auth, UserUpdate(_USER, None, None), is_news=True, is_settled=True)
    assert place is not None
    return shared.announcer.deliver(place)


def _sending(auth: AuthController, receivers: list[Receiver]) -> Callable[[], Awaitable[object]]:
    signal = Signal()
    for receiver in receivers:
        signal.connect(receiver, sender=auth)
    return partial(signal.send_async, auth, current=_USER, old=None, error=None)
