"""The eight steps of the walk-through, and the checks of each."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mimi_async import AnonymousId

from .contract import named_attempts, request_fields
from .launch import YEAR_OF_BIRTH
from .narration import Notes
from .processes import Event, Launch
from .stage import Stage

ANNA, BEN = "anna", "ben"


class Story:
    """The steps. They share the profile that the first one creates, and its id in the partner's table."""

    def __init__(self, stage: Stage, notes: Notes) -> None:
        self.stage = stage
        self._notes = notes
        self._profile: Event = {}
        self._id: AnonymousId | None = None

    async def first_launch(self, launch: Launch) -> None:
        """Step 1."""
        await self._run(launch)
        offered, made, onboarded = launch.first("screen"), launch.first("update"), launch.last("screen")
        self._profile = onboarded["user"]
        self._id = await self._known_id(ANNA)
        record = await self.stage.record("player", ANNA)
        self._check("the gate opens without a user", _viewed(launch) == [None])
        self._check("the profile offers onboarding", "onboard" in offered["actions"])
        self._check("onboarding creates the user", _update_values(made) == (self._profile["id"], None, None))
        self._check("it saves the year of birth", self._profile["year_of_birth"] == YEAR_OF_BIRTH)
        self._check(
            "the hearing test follows, marked as uncalibrated", "uncalibrated" in str(self._profile["hearing_test"])
        )
        self._check("the observer stores the id with the partner's account", self._id is not None)
        self._check("the SDK's store holds the same id", record is not None and record.anonymous_id == self._id)
        self._check("the server holds one user", self.stage.users() == 1)

    async def second_launch(self, launch: Launch) -> None:
        """Step 2."""
        before = await self.stage.record("player", ANNA)
        await self._run(launch)
        order = launch.order("scheduled", "started", "view")
        self._check("a view that was presented before the start waits", order == ["scheduled", "started", "view"])
        self._check("it sees the same user, year of birth and hearing test", _viewed(launch) == [self._profile])
        self._check("the profile skips the introduction", launch.first("screen")["is_onboarded"] is True)
        self._check("the observer gets the user", _updates_of(launch) == [(self._profile["id"], None, None)])
        self._check("the restore has written nothing", await self.stage.record("player", ANNA) == before)

    async def reinstall(self, launch: Launch) -> None:
        """Step 3."""
        self.stage.reinstall("player")
        await self._run(launch)
        record = await self.stage.record("player", ANNA)
        self._check("known_id finds the same profile, before any view", _viewed(launch) == [self._profile])
        self._check("the SDK's store holds the id again", record is not None and record.anonymous_id == self._id)
        self._check("the server still holds one user", self.stage.users() == 1)

    async def second_product(self, launch: Launch) -> None:
        """Step 4."""
        await self._run(launch)
        record = await self.stage.record("tv", ANNA)
        self._check("authenticate(LogInAnonymously(id)) finds the same profile", _viewed(launch) == [self._profile])
        self._check(
            "the store of the second product holds the id", record is not None and record.anonymous_id == self._id
        )
        self._check("the server still holds one user", self.stage.users() == 1)

    async def anonymous_only(self, refused: Launch, presented: Launch) -> None:
        """Step 5."""
        await asyncio.gather(refused.run(), presented.run())
        self._print(refused, presented)
        error = refused.first("failed")["error"]
        screen = presented.first("screen")
        mine = {"take_hearing_test", "edit", "export", "reset"}
        self._check(
            "without the flag the profile is refused", error == "AnonymousUserOnlyError" and not _viewed(refused)
        )
        self._check("with it, the profile is presented", _viewed(presented) == [self._profile])
        self._check("it offers no log-in and no sign-up", set(screen["actions"]) == mine)
        fields, is_closed = await request_fields(self.stage.url)
        self._check("no request of the contract has a field for a name or an e-mail", is_closed and fields <= _FIELDS)
        attempts = await named_attempts(self.stage.url, self.stage.credentials["player"], _require_id(self._id))
        self._check(f"{len(attempts)} attempts to add one by hand are refused with 422", set(attempts) == {422})

    async def server_down(self, refused: Launch, waiting: Launch) -> None:
        """Step 6."""
        self._check("the identity server stops when it is asked to", await self.stage.stop_server())
        try:
            await self._without_server(refused, waiting)
        finally:
            await self.stage.start_server()
        await waiting.wait_finished()
        self._print(waiting)
        self._check("retry announces its first failure", _update_values(waiting.first("update")) == (None, None, _DOWN))
        self._check("its view opens when the server is back", _viewed(waiting) == [self._profile])

    async def _without_server(self, refused: Launch, waiting: Launch) -> None:
        before = await self.stage.record("player", ANNA)
        waiting.go()
        await self._run(refused)
        await waiting.wait_event("update")
        failed = refused.first("failed")
        now = await self.stage.record("player", ANNA)
        self._check("no view runs", not _viewed(refused) and not _viewed(waiting))
        self._check("the caller gets a clear error", (failed["error"], failed["cause"]) == ("StartupError", _DOWN))
        self._check("the id is kept", before is not None and now == before and await self._known_id(ANNA) == self._id)

    async def race(self, one: Launch, other: Launch) -> None:
        """Step 7."""
        await asyncio.gather(one.wait_event("ready"), other.wait_event("ready"))
        await asyncio.gather(one.run(), other.run())
        self._print(one, other)
        users = [screen["user"]["id"] for launch in (one, other) for screen in launch.events_of("screen")[1:]]
        record = await self.stage.record("player", BEN)
        kept = await self._known_id(BEN)
        is_kept = record is not None and kept is not None and record.anonymous_id == kept
        self._check("both launches onboard", (one.status, other.status) == (0, 0))
        self._check("both have the same user", len(users) == 4 and len(set(users)) == 1)
        self._check("the server holds one user more", self.stage.users() == 2)
        self._check("its id is kept with the account", is_kept)

    async def log_out_and_reset(self, log_out: Launch, again: Launch, reset: Launch, tv: Launch) -> None:
        """Step 8."""
        me = self._profile["id"]
        await self._run(log_out)
        self._check("the update of a log-out has no error", _updates_of(log_out)[-1] == (None, me, None))
        self._check("the store holds no id", await self.stage.record("player", ANNA) is None)
        self._check(
            "the partner's account keeps the id", await self._known_id(ANNA) == self._id and self.stage.users() == 2
        )
        await self._run(again)
        self._check("logging in again finds the profile", _viewed(again) == [self._profile])
        await self._run(reset)
        erased = "ErasedAnonymousIdError"
        self._check("the observer gets the update of a reset", _updates_of(reset)[-1] == (None, me, erased))
        self._check("the profile is erased at the server", self.stage.users() == 1)
        self._check("the store holds no id", await self.stage.record("player", ANNA) is None)
        self._check("the partner's account has dropped it", await self._known_id(ANNA) is None)
        before = await self.stage.record("tv", ANNA)
        await self._run(tv)
        self._check("the second product gets the same update", _updates_of(tv) == [(None, None, erased)])
        self._check("its store drops the id", before is not None and await self.stage.record("tv", ANNA) is None)
        self._check("it starts without a user", _viewed(tv) == [None] and await self._known_id(ANNA) is None)

    async def check_output(self) -> None:
        """Check the output of all processes, after the last step."""
        await self.stage.stop_server()
        leaked = self.stage.has_printed_secret(self._id, await self._known_id(BEN))
        self._check("no process has printed an id or a client secret", not leaked)

    async def _run(self, launch: Launch) -> None:
        self._print(await launch.run())

    def _print(self, *launches: Launch) -> None:
        for launch in launches:
            self._notes.print_launch(launch)

    def _check(self, promise: str, holds: bool) -> None:
        self._notes.check(promise, holds=holds)

    async def _known_id(self, account: str) -> AnonymousId | None:
        return await self.stage.accounts.known_id(account)


@dataclass(frozen=True)
class Step:
    """One step of the walk-through.

    Attributes:
        title: What the step shows.
        play: Runs the step with its launches.
        launches: Product, account and action of each launch.
    """

    title: str
    play: Callable[..., Awaitable[None]]
    launches: tuple[str, ...]


STEPS = (
    Step("First launch, nothing is stored: the profile creates the user", Story.first_launch, ("player anna onboard",)),
    Step("Second launch: the stored id is restored before any view", Story.second_launch, ("player anna",)),
    Step("Reinstall: the id is found with the partner's account", Story.reinstall, ("player anna",)),
    Step("A second product logs in with the id", Story.second_product, ("tv anna --as-in-guide",)),
    Step(
        "Anonymous users only: no user can get a name",
        Story.anonymous_only,
        ("player anna --allow-named-users", "player anna"),
    ),
    Step("The identity server is down at launch", Story.server_down, ("player anna", "tv anna --retry")),
    Step("Two launches of one account race", Story.race, ("player ben onboard", "player ben onboard")),
    Step(
        "Log-out keeps the profile, reset erases it everywhere",
        Story.log_out_and_reset,
        ("player anna log-out", "player anna", "player anna reset", "tv anna"),
    ),
)

_DOWN = "ServerUnreachableError"
_NAMED_ALLOWED = "AnonymousUserOnlyError"
_FIELDS = {"anonymous_id", "year_of_birth", "sex", "taken_at", "calibrated", "left", "right"} | {
    str(frequency) for frequency in (250, 500, 1000, 2000, 4000, 8000)
}


def _viewed(launch: Launch) -> list[Event | None]:
    """Return the user that each view of a launch got."""
    return [view["user"] for view in launch.events_of("view")]


def _update_values(update: Event) -> tuple[str | None, str | None, str | None]:
    """Return an update as (current, old, error)."""
    current, old = ((update[name] or {}).get("id") for name in ("current", "old"))
    return current, old, update["error"]


def _updates_of(launch: Launch) -> list[tuple[str | None, str | None, str | None]]:
    return [_update_values(update) for update in launch.events_of("update")]


def _require_id(anonymous_id: AnonymousId | None) -> AnonymousId:
    if anonymous_id is None:
        msg = "the first step has kept no id"
        raise ValueError(msg)
    return anonymous_id
