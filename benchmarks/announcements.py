"""The cost of an update: delivery to observers, and opening and closing a subscription, also with many controllers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from blinker import Signal

from mimi_async import AuthController

from .harness import Curve, Line, Scale, alternate, each
from .inside import USER, announce, create_controllers, receive

_CROWDS = (1, 10, 100, 1_000, 10_000, 100_000)

Receiver = Callable[..., Awaitable[None]]


def _create_receivers(count: int) -> list[Receiver]:
    def create_receiver() -> Receiver:
        async def receive_alone(_: object, *, current: object, old: object, error: object) -> None:
            del current, old, error

        return receive_alone

    return [create_receiver() for _ in range(count)]


async def announcements(scale: Scale) -> AsyncIterator[Line]:
    """One update to one receiver and to ten."""
    times = scale.of(20_000)
    for count, goal, moonshot in ((1, 1.5, 1.2), (10, 1.0, 0.6)):
        receivers = _create_receivers(count)
        shared, (auth,) = create_controllers(1)
        for receiver in receivers:
            auth.observe(receiver)
        ours, theirs = await alternate(
            partial(each, partial(announce, shared, auth), times // count),
            partial(each, _create_sender(auth, receivers), times // count),
            scale,
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


def _create_sender(auth: AuthController, receivers: list[Receiver]) -> Callable[[], Awaitable[object]]:
    # blinker as its documentation shows it, with the receivers connected to one sender, as `observe` does.
    signal = Signal()
    for receiver in receivers:
        signal.connect(receiver, sender=auth)
    return partial(signal.send_async, auth, current=USER, old=None, error=None)


async def crowd(scale: Scale) -> AsyncIterator[Line | Curve]:
    """One update, and one subscription, with up to 100,000 observed controllers."""
    curves: dict[str, dict[int, list[float]]] = {}
    counts = sorted({scale.of(count) for count in _CROWDS})
    times = scale.of(20_000)
    shared_alone, (alone,) = create_controllers(1)
    alone.observe(receive)
    for count in counts:
        shared, controllers = create_controllers(count)
        for auth in controllers:
            auth.observe(receive)
        observed = controllers[count // 2]
        for what, among, single in (
            ("one announcement", partial(announce, shared, observed), partial(announce, shared_alone, alone)),
            ("opening and closing a subscription", partial(_subscribe, observed), partial(_subscribe, alone)),
        ):
            is_last = count == counts[-1]
            ours, theirs = await alternate(
                partial(each, among, times),
                partial(each, single, times),
                scale if is_last else scale.for_a_curve(),
            )
            curves.setdefault(what, {})[count] = [seconds * 1e6 for seconds in ours]
            if is_last:  # the baseline is our own code with one controller: the figure is what the crowd adds
                yield Line(
                    what=f"{what}, {count:,} controllers alive",
                    against="with 1 alive",
                    ours=ours,
                    theirs=theirs,
                    goal=1.2,
                    moonshot=1.0,
                    kind="time",
                )
    yield Curve(
        name="announcement",
        title="Updates among many controllers",
        x="observed controllers alive",
        y="microseconds",
        series=curves,
    )


async def _subscribe(auth: AuthController) -> None:
    auth.observe(receive).close()
