"""The controller: one account of the partner, and its anonymous user."""

import secrets
from collections.abc import AsyncIterator
from enum import Enum
from functools import partial
from typing import Final, Literal

from blinker import Signal

from .. import wire
from ..errors import (
    InvalidInputError,
    NotAuthenticatedError,
    NotRestoredError,
)
from ..hearing.results import HearingTestResult
from ..identity import AnonymousId, MimiUser, Secret, Sex, checked_sex, checked_year_of_birth
from .delivery import Receiver, UserUpdate
from .routes import Anonymously, LogInAnonymously, Route
from .signals import Subscription
from .turn import Turn
from .updates import Updates
from .works import Works


class Keep(Enum):
    """The mark of a field that stays as it is."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


class AuthController(Works):
    """One account of the partner, and its anonymous user (guide: MimiAuthController).

    Made by a core: `core.auth`, or `await core.auth_for(account)`. Calls may come at any time from any task of the
    core's event loop: they take turns. Each ends by its deadline, 30 s from the call; a call that is cancelled stops
    waiting, while its turn goes on to its end. Each waits for a restore in flight, and after one that has failed
    retryably makes one fresh try.

    Every coroutine here raises `NotStartedError` outside `async with core`, `ConfigurationError` from within known_id,
    a store or send of the same account, and a `ServerError` or `StoreError` where one of the two gives no answer. Then
    user and record are as they were, unless it says otherwise. Where a store does not even answer whether it wrote, the
    gate is shut and `current_user` is a `NotRestoredError`, until the next call has put the record right.

    Attributes:
        account: The partner's name for the account. Never leaves the partner.
        gate: Whether views of this account may run.
    """

    __slots__ = ()

    @property
    def current_user(self) -> MimiUser | None:
        """The user, or None where it is known that there is none.

        Raises:
            NotRestoredError: It is not known: no restore has ended well yet; `.__cause__` says why.
        """
        if self._is_restored:
            return self._told
        error = NotRestoredError("it is not known yet whether there is a user: await a call, or present a view")
        error.__cause__ = self._failure and self._failure.again()
        raise error

    @property
    def user_updated(self) -> Signal:
        """The core's signal; its sender is the controller."""
        return self._shared.announcer.user_updated

    # Becoming a user -------------------------------------------------------------------------------------------------

    async def ensure_user(self) -> MimiUser:
        """Return the account's user: the stored one, else the one that known_id gives, else a new one.

        Concurrent calls, of any number of tasks and processes on one store, make one user.

        Raises:
            UnknownAnonymousIdError: The stored id is not known to the server; nothing was made in its place.
            StoreCorruptError: The stored record can't be read; nothing was made in its place.
        """
        if self._is_restored and not self._underway and self._user is not None:
            self._check_call()
            return self._user
        return await self._call(self._ensured)

    async def authenticate(self, route: Route) -> MimiUser:
        """Become a user by a route of the guide, and return it.

        `LogInAnonymously(id)` keeps the id once the server has said yes, and not before; the id that is stored already
        is a reload. `Anonymously()` makes a new user where there is none.

        Raises:
            UnknownAnonymousIdError: No user is known by the id.
            ErasedAnonymousIdError: Its user was erased: drop every copy.
            AlreadyAuthenticatedError: `Anonymously()` while there is a user.
        """
        match route:
            case LogInAnonymously(anonymous_id):
                return await self._call(partial(self._logged_in, anonymous_id), needs_restore=False)
            case Anonymously():
                return await self._call(self._made)
        msg = f"a route is LogInAnonymously(id) or Anonymously(), not {type(route).__name__}"
        raise InvalidInputError(msg)

    # What the user says ----------------------------------------------------------------------------------------------

    async def update_user(
        self, *, year_of_birth: int | Literal[Keep.KEEP] | None = KEEP, sex: Sex | Literal[Keep.KEEP] | None = KEEP
    ) -> MimiUser:
        """Change what the user said, and return the user.

        Args:
            year_of_birth: 1900 to 18 years ago; None clears it, absent keeps it.
            sex: "female", "male" or "intersex"; None clears it, absent keeps it.

        Raises:
            InvalidInputError: A value is out of range.
            NotAuthenticatedError: There is no user.
        """
        changes: dict[str, object] = {}
        if year_of_birth is not KEEP:
            changes["year_of_birth"] = checked_year_of_birth(year_of_birth)
        if sex is not KEEP:
            changes["sex"] = checked_sex(sex)

        async def work(turn: Turn[MimiUser]) -> MimiUser:
            return await self._reread(turn, partial(wire.patch_user, changes, deadline=turn.deadline))

        return await self._call(work)

    async def reload_user(self) -> MimiUser:
        """Ask the server for the user as it is now: another product may have changed it.

        Raises:
            NotAuthenticatedError: There is no user.
        """

        async def work(turn: Turn[MimiUser]) -> MimiUser:
            return await self._reread(turn, partial(wire.get_user, deadline=turn.deadline))

        return await self._call(work)

    async def find_user(self) -> MimiUser | None:
        """Ask who the account's user is by now, and return it: None where there is none.

        Another product may have changed the user since, erased it, or made one, in its place too. The store and
        known_id are asked where no user is known (any more). Nothing is made.

        Raises:
            UnknownAnonymousIdError: The id that was found is not known to the server.
            ForciblyLoggedOutError: The server no longer knows the user.
            StoreCorruptError: The stored record can't be read.
        """
        self._check_call()
        had_user, deadline = self._told is not None, self._deadline()
        user = await self._call(self._found, deadline=deadline)
        if user is None and had_user:  # a turn of its own: that the one before was erased is told by itself
            user = await self._call(self._found, deadline=deadline)
        return user

    async def submit_hearing_test(self, result: HearingTestResult, *, key: Secret | None = None) -> HearingTestResult:
        """Keep a hearing test with the user, once, and return it with the id that the server gave it.

        The user carries the newest one: `current_user.latest_hearing_test`.

        Args:
            result: What was measured.
            key: What makes it the same test when it is submitted again: 32 to 128 letters and digits, random, made when
                the test began. The first one submitted under a key is kept and returned; without, each is a new one.

        Raises:
            InvalidInputError: It is no `HearingTestResult`, or the server refuses it or the key.
            NotAuthenticatedError: There is no user.
        """
        if not isinstance(result, HearingTestResult):
            msg = f"submit_hearing_test takes a HearingTestResult, not a {type(result).__name__}"
            raise InvalidInputError(msg)
        return await self._call(partial(self._submitted, result, key or Secret(secrets.token_hex(16))))

    async def hearing_tests(self) -> AsyncIterator[HearingTestResult]:
        """Yield the user's hearing tests, newest first; each page is a turn of its own.

        Raises:
            NotAuthenticatedError: There is no user, or another one than at the first page.
        """
        owner: str | None = None
        cursor: str | None = None

        async def work(
            turn: Turn[tuple[list[HearingTestResult], str | None]],
        ) -> tuple[list[HearingTestResult], str | None]:
            nonlocal owner
            owner = owner or self._required_user().id
            if owner != self._required_user().id:
                msg = "the user has changed while the hearing tests were listed: begin anew"
                raise NotAuthenticatedError(msg)
            return await self._as_user(turn, partial(wire.list_tests, cursor, deadline=turn.deadline), wire.read_tests)

        while True:
            tests, cursor = await self._call(work)
            for test in tests:
                yield test
            if cursor is None:
                return

    async def export_data(self) -> bytes:
        """Return everything that the server holds about the user, as JSON (GDPR, article 20).

        Raises:
            NotAuthenticatedError: There is no user.
        """

        async def work(turn: Turn[bytes]) -> bytes:
            def read(reply: wire.Reply) -> bytes:
                return wire.read_export(reply, self._required_user())

            return await self._as_user(turn, partial(wire.export_user, deadline=turn.deadline), read)

        return await self._call(work)

    # Being a user no more --------------------------------------------------------------------------------------------

    async def log_out(self) -> None:
        """Forget the id here. The profile lives on at the server, and the host keeps its copy of the id.

        Without a user, nothing happens.
        """
        await self._call(self._logged_out)

    async def reset(self) -> None:
        """Erase the profile at the server for ever, then forget the id here: this can't be undone.

        The observers are told an `ErasedAnonymousIdError`: the host drops its copy. Cut off by a crash, or
        by leaving the core (`NotStartedError`), it is finished by the next restore. If it raises anything else, record
        and user are as they were, or the next call makes them so.

        Raises:
            NotAuthenticatedError: There is no user.
        """
        await self._call(self._erased)

    async def start_over(self) -> AnonymousId | None:
        """Set down a record that is rejected or can't be read, and go on without a user.

        The host's decision, after `UnknownAnonymousIdError` or `StoreCorruptError`: the next `ensure_user` may make
        a new user. The server is asked once more about a rejected id, and nothing is set down unless it still says that
        it knows no user by it; an erasure that was begun is finished if it does. A known_id that goes on to give the id
        brings it back: set your own copy aside next.

        Returns:
            The id that was set down, where it could be read or the user was known here; by an earlier call, too, which
            raised since the store did not answer. None: there was none to keep, or its user is erased.

        Raises:
            ConfigurationError: The record is neither rejected nor damaged, or the server knows the id again and its
                user is logged in: nothing was set down.
            ServerError: The server does not say whether it knows the id: nothing was set down.
        """
        return await self._call(self._started_over, needs_restore=False)

    # Telling ---------------------------------------------------------------------------------------------------------

    def observe(self, receiver: Receiver, *, replay: bool = False) -> Subscription:
        """Tell a receiver each update of this account, until the subscription is closed.

        It is held strongly, may be a plain function or a coroutine function, and is called as
        `receiver(controller, *, current, old, error)`, one update at a time, in the order of commits. It may call
        anything of this library.

        Args:
            receiver: Who is told.
            replay: Tell the settled state first, `(current, None, None)`, also when there is no user; before the
                restore, as soon as it has ended well.
        """
        is_settled = replay and self._is_restored
        if is_settled:
            self._shared.turns.check_open()
        subscription = self._shared.announcer.observe(self, receiver, replay=replay)
        if is_settled:
            state = UserUpdate(self._told, None, None)
            place = self._shared.announcer.take_place(self, state, is_news=False, is_settled=True)
            if place is not None:
                self._shared.turns.own(self._shared.announcer.deliver(place))
        return subscription

    def updates(self) -> Updates:
        """Return the updates of this account from now on, for `async for`; it ends when the core is left.

        A slow consumer gets one merged update: the oldest `old`, the newest `current`, the newest error.
        """
        return self._shared.announcer.updates(self)
