"""What the walk-through prints: what each launch told, and a mark for each check."""

from collections.abc import Callable

from .processes import Fact, Launch


class Notes:
    """Counts steps and checks, and prints them."""

    def __init__(self) -> None:
        self._steps: list[list[bool]] = []

    def begin(self, title: str) -> None:
        """Begin a step."""
        self._steps.append([])
        print(f"\n{len(self._steps)}  {title}")

    def check(self, promise: str, *, holds: bool) -> None:
        """Note whether a promise was kept."""
        self._steps[-1].append(holds)
        print(f"   {'✓' if holds else '✗'} {promise}")

    def tell(self, launch: Launch) -> None:
        """Print what a launch told."""
        print(f"   $ launch {launch.command}")
        for fact in launch.facts:
            if fact["event"] in _SAID:
                print(f"     · {_SAID[fact['event']](fact)}")
        for line in launch.lines:
            if not line.startswith("{"):
                print(f"     ! {line}")

    @property
    def all_hold(self) -> bool:
        """Whether every check held."""
        return all(map(all, self._steps))

    def summary(self) -> str:
        """Count steps and checks."""
        checks = [holds for step in self._steps for holds in step]
        return f"{sum(map(all, self._steps))} of {len(self._steps)} steps, {sum(checks)} of {len(checks)} checks"


def _user(user: Fact | None) -> str:
    return "None" if user is None else f"user {user['anonymous_id']}"


def _view(fact: Fact) -> str:
    return f"a view runs, with {_user(fact['user']) if fact['user'] else 'no user'}"


def _update(fact: Fact) -> str:
    return f"the observer is told ({_user(fact['current'])}, {_user(fact['old'])}, {fact['error']})"


def _screen(fact: Fact) -> str:
    user = fact["user"] or {}
    known = [f"born in {user['year_of_birth']}"] if user.get("year_of_birth") else []
    known += [f"hearing test {user['hearing_test']}"] if user.get("hearing_test") else []
    return f"the profile shows {'; '.join(known) or 'its introduction'}, and offers {', '.join(fact['actions'])}"


_SAID: dict[str, Callable[[Fact], str]] = {
    "scheduled": lambda _: "a view is asked for",
    "started": lambda _: "the core is entered",
    "view": _view,
    "update": _update,
    "screen": _screen,
    "failed": lambda fact: f"{fact['error']}: {fact['message']}",
}
