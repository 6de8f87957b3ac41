"""The output of the walk-through: the events of each launch, and a mark for each check."""

from collections.abc import Callable

from .processes import Event, Launch


class Notes:
    """Print steps and checks, and count them."""

    def __init__(self) -> None:
        self._steps: list[list[bool]] = []

    def begin(self, title: str) -> None:
        """Begin a step."""
        self._steps.append([])
        print(f"\n{len(self._steps)}  {title}")

    def check(self, promise: str, *, holds: bool) -> None:
        """Print and count a check."""
        self._steps[-1].append(holds)
        print(f"   {'✓' if holds else '✗'} {promise}")

    def print_launch(self, launch: Launch) -> None:
        """Print the events of a launch."""
        print(f"   $ launch {launch.command}")
        for event in launch.events:
            if event["event"] in _TEXTS:
                print(f"     · {_TEXTS[event['event']](event)}")
        for line in launch.lines:
            if not line.startswith("{"):
                print(f"     ! {line}")

    @property
    def all_hold(self) -> bool:
        """Whether every check held."""
        return all(map(all, self._steps))

    def summary(self) -> str:
        """Return the number of steps and checks that hold."""
        checks = [holds for step in self._steps for holds in step]
        return f"{sum(map(all, self._steps))} of {len(self._steps)} steps, {sum(checks)} of {len(checks)} checks"


def _user(user: Event | None) -> str:
    return "None" if user is None else f"user {user['anonymous_id']}"


def _view(event: Event) -> str:
    return f"a view runs, with {_user(event['user']) if event['user'] else 'no user'}"


def _update(event: Event) -> str:
    return f"the observer gets ({_user(event['current'])}, {_user(event['old'])}, {event['error']})"


def _screen(event: Event) -> str:
    user = event["user"] or {}
    known = [f"born in {user['year_of_birth']}"] if user.get("year_of_birth") else []
    known += [f"hearing test {user['hearing_test']}"] if user.get("hearing_test") else []
    return f"the profile shows {'; '.join(known) or 'its introduction'}, and offers {', '.join(event['actions'])}"


_TEXTS: dict[str, Callable[[Event], str]] = {
    "scheduled": lambda _: "a view is presented",
    "started": lambda _: "the core is entered",
    "view": _view,
    "update": _update,
    "screen": _screen,
    "failed": lambda event: f"{event['error']}: {event['message']}",
}
