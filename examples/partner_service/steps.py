"""The eight steps, and what must hold after each."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mimi_async import AnonymousId

from .contract import named_attempts, request_fields
from .launch import YEAR_OF_BIRTH
from .narration import Notes
from .processes import Fact, Launch
from .stage import Stage

ANNA, BEN = "anna", "ben"


class Story:
    """What the steps share: the profile that the first one makes, and the id that the partner keeps of it."""

    def __init__(self, stage: Stage, notes: Notes) -> None:
        self.stage = stage
        self._notes = notes
        self._profile: Fact = {}
        self._id: AnonymousId | None = None

    # The steps -------------------------------------------------------------------------------------------------------

    async def first_launch(self, launch: Launch) -> None:
        """Step 1."""
        await self._run(launch)
        offered, made, onboarded = launch.first("screen"), launch.first("update"), launch.last("screen")
        self._profile = onboarded["user"]
        self._id = await self._kept(ANNA)
        record = await self.stage.record("player", ANNA)
        self._check("the gate opens without a user", _seen(launch) == [None])
        self._check("the profile offers onboarding", "onboard" in offered["actions"])
        self._check("onboarding makes the user by itself", _told(made) == (self._profile["id"], None, None))
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
        self._check("a view that was asked for before the start waits", order == ["scheduled", "started", "view"])
        self._check("it sees the same user, year of birth and hearing test", _seen(launch) == [self._profile])
        self._check("the profile skips the introduction", launch.first("screen")["is_onboarded"] is True)
        self._check("the observer is told of the user", _told_all(launch) == [(self._profile["id"], None, None)])
        self._check("the restore has written nothing", await self.stage.record("player", ANNA) == before)

    async def reinstall(self, launch: Launch) -> None:
        """Step 3."""
        self.stage.reinstall("player")
        await self._run(launch)
        record = await self.stage.record("player", ANNA)
        self._check("known_id finds the same profile, before any view", _seen(launch) == [self._profile])
        self._check("the SDK's store holds the id again", record is not None and record.anonymous_id == self._id)
        self._check("the server still holds one user", self.stage.users() == 1)

    async def second_product(self, launch: Launch) -> None:
        """Step 4."""
        await self._run(launch)
        record = await self.stage.record("tv", ANNA)
        self._check("authenticate(LogInAnonymously(id)) finds the same profile", _seen(launch) == [self._profile])
        self._check(
            "the store of the second product holds the id", record is not None and record.anonymous_id == self._id
        )
        self._check("the server still holds one user", self.stage.users() == 1)

    async def anonymous_only(self, refused: Launch, presented: Launch) -> None:
        """Step 5."""
        await asyncio.gather(refused.run(), presented.run())
        self._tell(refused, presented)
        error = refused.first("failed")["error"]
        screen = presented.first("screen")
        mine = {"take_hearing_test", "edit", "export", "reset"}
        self._check("without the flag the profile is refused", error == "AnonymousUserOnlyError" and not _seen(refused))
        self._check("with it, the profile is presented", _seen(presented) == [self._profile])
        self._check("it offers no log-in and no sign-up", set(screen["actions"]) == mine)
        fields, is_closed = await request_fields(self.stage.url)
        self._check("no request of the contract has a field for a name or an e-mail", is_closed and fields <= _FIELDS)
        attempts = await named_attempts(self.stage.url, self.stage.credentials["player"], _required(self._id))
        self._check(f"{len(attempts)} attempts to add one by hand are refused with 422", set(attempts) == {422})

    async def server_down(self, refused: Launch, waiting: Launch) -> None:
        """Step 6."""
        self._check("the identity server stops when it is asked to", await self.stage.stop_server())
        try:
            await self._without_server(refused, waiting)
        finally:
            await self.stage.start_server()
        await waiting.finished()
        self._tell(waiting)
        self._check("keep_trying announces its first failure", _told(waiting.first("update")) == (None, None, _DOWN))
        self._check("its view opens when the server is back", _seen(waiting) == [self._profile])

    async def _without_server(self, refused: Launch, waiting: Launch) -> None:
        before = await self.stage.record("player", ANNA)
        waiting.go()
        await self._run(refused)
        await waiting.heard("update")
        failed = refused.first("failed")
        now = await self.stage.record("player", ANNA)
        self._check("no view runs", not _seen(refused) and not _seen(waiting))
        self._check("the caller gets a clear error", (failed["error"], failed["cause"]) == ("StartupError", _DOWN))
        self._check("the id is kept", before is not None and now == before and await self._kept(ANNA) == self._id)

    async def race(self, one: Launch, other: Launch) -> None:
        """Step 7."""
        await asyncio.gather(one.heard("ready"), other.heard("ready"))
        await asyncio.gather(one.run(), other.run())
        self._tell(one, other)
        users = [screen["user"]["id"] for launch in (one, other) for screen in launch.told("screen")[1:]]
        record = await self.stage.record("player", BEN)
        kept = await self._kept(BEN)
        is_kept = record is not None and kept is not None and record.anonymous_id == kept
        self._check("both launches onboard", (one.status, other.status) == (0, 0))
        self._check("both have the same user", len(users) == 4 and len(set(users)) == 1)
        self._check("the server holds one user more", self.stage.users() == 2)
        self._check("its id is kept with the account", is_kept)

    async def log_out_and_reset(self, log_out: Launch, again: Launch, reset: Launch, tv: Launch) -> None:
        """Step 8."""
        me = self._profile["id"]
        await self._run(log_out)
        self._check("a log-out is told without an error", _told_all(log_out)[-1] == (None, me, None))
        self._check("the id is gone here", await self.stage.record("player", ANNA) is None)
        self._check("the partner's account keeps it", await self._kept(ANNA) == self._id and self.stage.users() == 2)
        await self._run(again)
        self._check("logging in again finds the profile", _seen(again) == [self._profile])
        await self._run(reset)
        erased = "ErasedAnonymousIdError"
        self._check("a reset is told to the observer", _told_all(reset)[-1] == (None, me, erased))
        self._check("the profile is erased at the server", self.stage.users() == 1)
        self._check("the id is gone here", await self.stage.record("player", ANNA) is None)
        self._check("the partner's account has dropped it", await self._kept(ANNA) is None)
        before = await self.stage.record("tv", ANNA)
        await self._run(tv)
        self._check("the second product is told the same", _told_all(tv) == [(None, None, erased)])
        self._check("it drops its copy", before is not None and await self.stage.record("tv", ANNA) is None)
        self._check("it starts without a user", _seen(tv) == [None] and await self._kept(ANNA) is None)
        await self.stage.stop_server()
        leaked = self.stage.told_secrets(self._id, await self._kept(BEN))
        self._check("no process has printed an id or a client secret", not leaked)

    # What they have in common ----------------------------------------------------------------------------------------

    async def _run(self, launch: Launch) -> None:
        self._tell(await launch.run())

    def _tell(self, *launches: Launch) -> None:
        for launch in launches:
            self._notes.tell(launch)

    def _check(self, promise: str, holds: bool) -> None:
        self._notes.check(promise, holds=holds)

    async def _kept(self, account: str) -> AnonymousId | None:
        return await self.stage.accounts.known_id(account)


@dataclass(frozen=True)
class Step:
    """One step of the walk-through.

    Attributes:
        title: What it shows.
        play: Plays it, given the launches.
        launches: What is launched in it: product, account, action.
    """

    title: str
    play: Callable[..., Awaitable[None]]
    launches: tuple[str, ...]


STEPS = (
    Step("First launch, nothing is stored: the profile makes the user", Story.first_launch, ("player anna onboard",)),
    Step("Second launch: the stored id is restored before any view", Story.second_launch, ("player anna",)),
    Step("Reinstall: the id is found with the partner's account", Story.reinstall, ("player anna",)),
    Step("A second product logs in with the id", Story.second_product, ("tv anna --as-in-guide",)),
    Step(
        "Anonymous users only: nobody can get a name",
        Story.anonymous_only,
        ("player anna --allow-named-users", "player anna"),
    ),
    Step("The identity server is down at launch", Story.server_down, ("player anna", "tv anna --keep-trying")),
    Step("Two launches of one account race", Story.race, ("player ben onboard", "player ben onboard")),
    Step(
        "Log-out keeps the profile, reset erases it everywhere",
        Story.log_out_and_reset,
        ("player anna log-out", "player anna", "player anna reset", "tv anna"),
    ),
)

_DOWN = "ServerUnreachableError"
_FIELDS = {"anonymous_id", "year_of_birth", "sex", "taken_at", "calibrated", "left", "right"} | {
    str(frequency) for frequency in (250, 500, 1000, 2000, 4000, 8000)
}


def _seen(launch: Launch) -> list[Fact | None]:
    """The user that each view of a launch saw."""
    return [view["user"] for view in launch.told("view")]


def _told(update: Fact) -> tuple[str | None, str | None, str | None]:
    """An update as (current, old, error)."""
    current, old = ((update[name] or {}).get("id") for name in ("current", "old"))
    return current, old, update["error"]


def _told_all(launch: Launch) -> list[tuple[str | None, str | None, str | None]]:
    return [_told(update) for update in launch.told("update")]


def _required(anonymous_id: AnonymousId | None) -> AnonymousId:
    if anonymous_id is None:
        msg = "the first step has kept no id"
        raise ValueError(msg)
    return anonymous_id
