"""The controller: one account of the partner, and its anonymous user."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Literal

from blinker import Signal

from .. import wire
from ..gate import Gate
from ..hearing.results import HearingTestResult
from ..host_functions import validate_function
from ..identity import MimiUser, Sex
from ..operations.operation import Operation
from ..records.session import Drop
from ..secret import AnonymousId, Secret
from ..updates.broadcaster import Subscription
from ..updates.delivery import Receiver, UserUpdate
from ..updates.stream import UpdateStream
from . import actions, calls, removal
from .account import Account
from .calls import UNSET, Unset
from .context import ControllerContext
from .log_in_methods import LogInMethod


class AuthController:
    """One account of the partner, and its anonymous user (guide: MimiAuthController).

    Made by a core: `core.auth`, or `await core.auth_for(account)`. Any task of the core's event loop may call it: calls
    run one after the other, each until its deadline, 30 s from the call. A call that is cancelled stops waiting, while
    its operation goes on. Each waits for a restore in flight; after one that failed retryably it makes one new attempt.

    Every coroutine raises `NotStartedError` outside `async with core`, `ConfigurationError` from within known_id, store
    or send of the same account, and a `ServerError` or `StoreError` without an answer of the two; unless it says
    otherwise, user and record are then as they were. Where a store does not answer whether it wrote, the gate is shut
    and `current_user` is a `NotRestoredError`, until the next call has corrected the record. A call that reads or
    changes the user raises `NotAuthenticatedError` where there is none.

    Attributes:
        account: The partner's name for the account. Never leaves the partner.
        gate: Whether views of this account may run.
    """

    __slots__ = ("__weakref__", "_account", "account", "gate")

    def __init__(self, account: str, context: ControllerContext) -> None:
        self._account = Account(account, context)
        self.account: str = account
        self.gate: Gate = self._account.gate

    @property
    def current_user(self) -> MimiUser | None:
        """The user, or None where it is known that there is none. May be read from anywhere: it does not wait.

        Raises:
            NotRestoredError: It is not known: no restore has succeeded yet; `.__cause__` says why.
            NotStartedError: It is not known, and no restore was made: the core was not entered yet, or was left.
        """
        return self._account.current_user

    @property
    def user_updated(self) -> Signal:
        """The core's signal; its sender is the controller."""
        return self._account.context.broadcaster.user_updated

    async def ensure_user(self, *, max_age: float | None = None) -> MimiUser:
        """Return the account's user: the stored one, else that of `known_id`, else a new one.

        Concurrent calls, of any number of tasks and processes on one store, create one user.

        Args:
            max_age: As for `find_user`. None returns a known user as it is.

        Raises:
            UnknownAnonymousIdError: The server does not know the stored id; no user was created.
            StoreCorruptError: The stored record can't be read; no user was created.
        """
        if max_age is not None:
            await self.find_user(max_age=max_age)
        user = self._account.settled_user
        return await self._account.run(self, actions.ensure_user) if user is None else user

    async def authenticate(self, method: LogInMethod) -> MimiUser:
        """Log in or create a user, and return the user (guide: `authenticate(route:)`).

        `LogInAnonymously(id)` stores the id once the server has accepted it; the id that is stored already is a reload.
        `Anonymously()` creates a user where there is none.

        Raises:
            UnknownAnonymousIdError: The server knows no user by the id.
            ErasedAnonymousIdError: Its user was erased: drop every copy.
            AlreadyAuthenticatedError: `Anonymously()` while there is a user.
            OnlyCopyError: The id of another user is stored, and the host may hold no copy of it: see `log_out`.
        """
        return await calls.authenticate(self._account, self, method)

    async def update_user(
        self,
        *,
        year_of_birth: int | Literal[Unset.UNSET] | None = UNSET,
        sex: Sex | Literal[Unset.UNSET] | None = UNSET,
        if_unchanged: MimiUser | None = None,
    ) -> MimiUser:
        """Change fields of the user, and return the user.

        Args:
            year_of_birth: 1900 to 18 years ago; None clears it, absent keeps it.
            sex: "female", "male" or "intersex"; None clears it, absent keeps it.
            if_unchanged: The user as the caller knows it. The change is made only if the server still holds the same,
                or holds what is to be set. None changes the user in any case.

        Raises:
            InvalidInputError: A value is out of range.
            UserConflictError: The user differs from `if_unchanged`: `.current_user` is the user as it is now.
        """
        return await calls.update_user(self._account, self, year_of_birth, sex, if_unchanged)

    async def reload_user(self) -> MimiUser:
        """Ask the server for the user as it is now, since another product may have changed it."""
        return await self._account.run(self, actions.reload_user)

    async def find_user(self, *, max_age: float = 0.0) -> MimiUser | None:
        """Ask who the user is now, since another product may have changed it; None where there is none.

        The store and `known_id` are asked where no user is known. No user is created.

        Args:
            max_age: Ask nothing if the last answer is younger, in seconds.

        Raises:
            UnknownAnonymousIdError: The server does not know the id that was found.
            ForciblyLoggedOutError: The server no longer knows the user.
            StoreCorruptError: The stored record can't be read.
        """
        return await calls.find_user(self._account, self, max_age)

    async def submit_hearing_test(self, result: HearingTestResult, *, key: Secret | None = None) -> HearingTestResult:
        """Store a hearing test with the user, once, and return it with the id that the server gave it.

        `current_user.latest_hearing_test` is the one that the server received last.

        Args:
            result: What was measured.
            key: 32 to 128 random letters and digits, drawn when the test began: the first test of a key is stored and
                returned. Without a key, each is a new test.

        Raises:
            InvalidInputError: It is not a `HearingTestResult`, or the server refuses it or the key. A test that was
                taken more than a day after the time of the server is refused: the clock here is wrong.
        """
        return await calls.submit_hearing_test(self._account, self, result, key)

    async def delete_hearing_test(self, test_id: str) -> None:
        """Delete the hearing test of this id at the server for good. Where there is none, nothing happens.

        Raises:
            InvalidInputError: It is not the id of a hearing test.
        """
        await self._account.run(self, partial(actions.delete_hearing_test, test_id=wire.validate_test_id(test_id)))

    async def hearing_tests(self) -> AsyncIterator[HearingTestResult]:
        """Yield the user's hearing tests, the last received first.

        Raises:
            NotAuthenticatedError: There is no user, or another one than at the first page.
        """
        page: actions.HearingTestPage | None = None
        while page is None or page.cursor is not None:
            page = await self._account.run(self, partial(actions.list_hearing_tests, previous=page))
            for test in page.tests:
                yield test

    async def export_data(self) -> bytes:
        """Return everything that the server holds about the user, as JSON (GDPR, article 20)."""
        return await self._account.run(self, actions.export_data)

    async def log_out(self, *, discard_id: bool = False) -> None:
        """Remove the id from the store. The profile stays at the server, and the host keeps its copy of the id.

        The only known copy of an id is never removed. The call waits until earlier updates are delivered. With a
        `known_id`, the id is removed only once `known_id(account)` returns it; without one, only if the last update
        with this user reached each observer without a failure, and there is an observer (`updates()` does not count).
        Else the update `(user, user, None)` is delivered once more, for an observer whose write failed.

        Args:
            discard_id: Remove the id without these conditions. If the host has no copy, the profile is lost.

        Raises:
            OnlyCopyError: The host is not known to hold a copy; the id was kept. Within an observer, it is raised at
                once: the update of that observer is not delivered yet.
        """
        if discard_id:
            return await self._account.run(self, partial(removal.log_out, discard_id=True))
        return await calls.run_with_copy(self._account, self, removal.log_out)

    async def reset(self) -> None:
        """Erase the profile at the server, then forget the id here: this can't be undone.

        The update has an `ErasedAnonymousIdError`: the host drops its copy. Cut off by a crash, or by leaving the core
        (`NotStartedError`), it is finished by the next restore; after any other error record and user are as they were.
        """
        await self._account.run(self, removal.reset)

    async def start_over(self, *, drop: Drop | None = None) -> AnonymousId | None:
        """Discard a record that is rejected or can't be read, and go on without a user.

        The host's decision, after `UnknownAnonymousIdError` or `StoreCorruptError`: the next `ensure_user` may create
        a new user. The server is asked once more about a rejected id, and nothing is discarded if it knows the id; an
        erasure that was begun is finished if it does.

        Args:
            drop: `async (anonymous_id)`, the host's own clean-up: it moves the host's copy of this id aside. It is
                called under the account's lock, before the record is removed, so that `known_id` can't return the id
                in between. It may be called again after a failure, and must not call this controller. The id is None
                where it can't be read.

        Returns:
            The discarded id, also of an earlier call that raised since the store did not answer. None: it could not be
            read, or its user is erased.

        Raises:
            ConfigurationError: The record is neither rejected nor damaged, or the server knows the id again and its
                user is logged in: nothing was discarded.
            StoreUnavailableError: `drop` raised, or the store did not answer: the record was kept; try again.
            ServerError: The server does not say whether it knows the id: nothing was discarded.
        """
        if drop is not None:
            validate_function(drop, "drop is an `async def drop(anonymous_id)`", None)
        return await self._account.run(self, partial(removal.start_over, drop=drop), restore_first=False)

    def observe(self, receiver: Receiver, *, replay: bool = False) -> Subscription:
        """Call an observer with each update of this account, until the subscription is closed.

        Args:
            receiver: The observer: `receiver(controller, *, current, old, error)`, plain or async, held strongly. It
                gets one update at a time, in the order of commits, and may call anything of this library.
            replay: Deliver the settled state first, `(current, None, None)`, also when there is no user; before the
                restore, as soon as it has succeeded.
        """
        return calls.observe(self._account, self, receiver, replay=replay)

    def updates(self) -> UpdateStream:
        """Return the updates of this account from now on, for `async for`; it ends when the core is left.

        A slow consumer gets one merged update: the oldest `old`, the newest `current`, the newest error.
        """
        return self._account.context.broadcaster.updates(self)

    @property
    def user_max_age(self) -> float:
        """How old, in seconds, a user may be that a view shows: `MimiCore(user_max_age=…)`."""
        return self._account.context.user_max_age

    @property
    def is_restored(self) -> bool:
        """Whether it is known who the user is."""
        return self._account.state.is_restored

    @property
    def is_busy(self) -> bool:
        """Whether an operation runs or waits."""
        return self._account.is_busy

    async def restore(self) -> None:
        """Make sure that it is known who the user is; joins a restore in flight. Raises its failure."""
        await self._account.restore(self)

    async def admit(self) -> None:
        """Return when a view may run, after a restore where that is due; raises `ViewsClosedError` if none may."""
        await calls.admit(self._account, self)

    def refresh(self) -> Operation[None]:
        """Start to read the record again, since another process may have changed it."""
        return self._account.refresh(self)

    def note_delivery(self, update: UserUpdate, is_reached: bool) -> None:
        """Note that an update was delivered, and whether there was an observer and none has failed."""
        if update.current is not None:
            self._account.state.set_copied(update.current.anonymous_id, is_reached=is_reached)
