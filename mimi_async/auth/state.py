"""The state of one account: who the user is, as far as it is known. It awaits nothing, and only this file writes it."""

import enum
import math

import attrs

from ..errors import (
    ErasedAnonymousIdError,
    ForciblyLoggedOutError,
    MimiError,
    NotAuthenticatedError,
    StoreCorruptError,
    StoreUnavailableError,
    UnknownAnonymousIdError,
    describe_exception,
)
from ..hearing.results import HearingTestResult
from ..identity import MimiUser
from ..records.resolver import Resolution
from ..secret import AccessToken, AnonymousId
from ..timeouts import Timeouts


class RestoreState(enum.Enum):
    """Whether it is known who the user is."""

    NOT_RESTORED = "not restored"
    """No restore has succeeded yet, or a store write without an answer has made the record uncertain."""

    RESTORED = "restored"
    """It is known who the user is, or that there is none."""

    INVALIDATED = "invalidated"
    """It was known, until another process changed the record and what it says now could not be read."""


_RESTORED = RestoreState.RESTORED  # a global is 40 ns faster to look up than the member of an enum


@attrs.frozen(eq=False)
class _Failure:
    """Why it is not known who the user is, or why there is none.

    Attributes:
        error: The error, in a copy without a traceback, which would hold the frames of a caller.
        recheck_at: Loop time from which a failure that a retry does not help is asked about again.
        interval: Seconds from such a failure to `recheck_at`; 0 before the first one.
        is_new: Whether `recheck_at` is still that of the failure before.
        unconfirmed_user: The user before a store write without an answer, until a restore has corrected the record.
    """

    error: MimiError
    recheck_at: float = 0.0
    interval: float = 0.0
    is_new: bool = True
    unconfirmed_user: MimiUser | None = None


@attrs.define(eq=False, repr=False, weakref_slot=False)
class AccountState:
    """What is known about the user of one account.

    Attributes:
        user: The user as the operation that runs has it.
        committed_user: The user as of the last commit, which observers and `current_user` show.
        discarded_id: The id of a `start_over()` without an answer of the store, which the next one returns.
        copied_id: The id in the last update, if that reached every observer.
        token: The access token of the user, also one that has expired.
        token_expires_at: The loop time at which it expires.
        etag: The version of the user at the server, None where it is not known.
        read_at: The loop time at which the server was asked for the user.
        restore_state: Whether it is known who the user is.
    """

    user: MimiUser | None = None
    committed_user: MimiUser | None = None
    discarded_id: AnonymousId | None = None
    copied_id: AnonymousId | None = None
    token: AccessToken | None = None
    token_expires_at: float = 0.0
    etag: str | None = None
    read_at: float = -math.inf
    restore_state: RestoreState = RestoreState.NOT_RESTORED
    _failure: _Failure | None = None

    @property
    def failure(self) -> MimiError | None:
        """Why the gate is shut, None where it is not."""
        return None if self._failure is None else self._failure.error

    @property
    def unconfirmed_user(self) -> MimiUser | None:
        """The user before a store write without an answer, whose record the next restore writes again."""
        return None if self._failure is None else self._failure.unconfirmed_user

    @property
    def recheck_interval(self) -> float:
        """Seconds between two questions about a failure that a retry does not help; 0 where there is none."""
        return 0.0 if self._failure is None else self._failure.interval

    @property
    def is_restored(self) -> bool:
        """Whether it is known who the user is."""
        return self.restore_state is _RESTORED

    @property
    def is_settled(self) -> bool:
        """Whether it is known who the user is, and no verdict has shut the gate."""
        return self._failure is None and self.restore_state is _RESTORED

    @property
    def has_verdict(self) -> bool:
        """Whether the last failure is a verdict about the record: rejected or damaged."""
        return isinstance(self.failure, (UnknownAnonymousIdError, StoreCorruptError))

    def is_fresh(self, max_age: float, now: float) -> bool:
        """Return whether the server was asked for the user less than `max_age` seconds ago."""
        return self.is_restored and now - self.read_at < max_age

    def may_retry(self, now: float) -> bool:
        """Return whether a call may restore again: after no failure, a retryable one, or one that is old enough."""
        known = self._failure
        return known is None or known.error.retryable or now >= known.recheck_at

    def valid_token(self, now: float) -> AccessToken | None:
        """Return the access token unless it has expired."""
        return self.token if now < self.token_expires_at else None

    def require_user(self) -> MimiUser:
        """Return the user; a `NotAuthenticatedError` where there is none."""
        if self.user is None:
            msg = "there is no user yet: `await auth.ensure_user()` makes one"
            raise NotAuthenticatedError(msg)
        return self.user

    def apply(self, resolution: Resolution) -> ErasedAnonymousIdError | None:
        """Let the state follow the record; return why there is no user, where the user was erased.

        Raises:
            UnknownAnonymousIdError: The server knows no user by the id, and there was none here.
            ForciblyLoggedOutError: The same, and there was a user here.
            StoreCorruptError: The record is damaged; the user stays.
        """
        match resolution.verdict:
            case UnknownAnonymousIdError() as verdict:
                raise self.reject(verdict)
            case StoreCorruptError() as verdict:
                if self.user is None:
                    self.fail(verdict)
                raise verdict
        session = resolution.session
        if session is None:
            self.forget_user(resolution.asked_at)
            return resolution.erased
        self._succeed(session.user, resolution.asked_at)
        self.token, self.discarded_id = session.token, None
        self.token_expires_at = resolution.asked_at + session.expires_in
        return None

    def forget_user(self, now: float) -> None:
        """Note that there is no user."""
        self._succeed(None, now)
        self.token = None

    def _succeed(self, user: MimiUser | None, asked_at: float) -> None:
        self.restore_state, self.user, self._failure = _RESTORED, user, None
        self.etag, self.read_at = None, asked_at

    def reject(self, verdict: UnknownAnonymousIdError) -> MimiError:
        """Note that the server knows no user by the id, and return the error of the operation."""
        self.fail(verdict)
        if self.user is None:
            return verdict
        masked, self.user, self.token = self.user.anonymous_id.masked, None, None
        msg = f"{masked} was logged out, keep your copy of the id: {verdict}"
        return ForciblyLoggedOutError(msg, request_id=verdict.request_id)

    def fail(self, error: MimiError) -> None:
        """Note why the gate is shut."""
        known = self._failure or _Failure(error)
        self._failure = attrs.evolve(known, error=error.copy(), is_new=True)

    def invalidate(self, error: Exception) -> MimiError:
        """Note that it is no longer known who the user is, since a change could not be followed; return the failure."""
        if not isinstance(error, MimiError):
            error = StoreUnavailableError(f"a change in the store could not be followed: {describe_exception(error)}")
        self.restore_state, self.user, self.token = RestoreState.INVALIDATED, None, None
        self.fail(error)
        return error

    def leave_unconfirmed(self, user: MimiUser, error: MimiError) -> None:
        """Note that a store write without an answer could not be taken back: the next restore does it."""
        self.restore_state, self.user, self.token = RestoreState.NOT_RESTORED, None, None
        self._failure = _Failure(error.copy(), unconfirmed_user=user)

    def set_user(self, user: MimiUser, etag: str | None, asked_at: float) -> None:
        """Note the user as the server has it."""
        self.user, self.etag, self.read_at = user, etag, asked_at

    def set_latest_test(self, test: HearingTestResult) -> None:
        """Note the user's latest hearing test; the version of the user is no longer known."""
        self.user, self.etag = attrs.evolve(self.require_user(), latest_hearing_test=test), None

    def expire_user(self) -> None:
        """Note that the user at the server has changed in a way that is not known here."""
        self.read_at = -math.inf

    def reject_token(self) -> None:
        """Note that the server rejects the access token."""
        self.token = None

    def set_discarded(self, anonymous_id: AnonymousId | None) -> None:
        """Note the id that a `start_over()` is about to discard."""
        self.discarded_id = anonymous_id

    def start_over(self, now: float) -> AnonymousId | None:
        """Go on without a user, and return the discarded id."""
        discarded = self.discarded_id if self.user is None else self.user.anonymous_id
        self.forget_user(now)
        self.discarded_id = None
        return discarded

    def set_copied(self, anonymous_id: AnonymousId, *, is_reached: bool) -> None:
        """Note whether the update with this id has reached every observer."""
        self.copied_id = anonymous_id if is_reached else None

    def commit(self) -> MimiUser | None:
        """Commit what the operation has changed, and return the user before."""
        old = self.committed_user
        if self.is_restored:
            self.committed_user = self.user
        current = self.committed_user
        if current is None or old is None or (current is not old and current.anonymous_id != old.anonymous_id):
            self.copied_id = None  # until the update with this user has reached the host
        return old

    def schedule_recheck(self, now: float, timeouts: Timeouts) -> None:
        """Set the time at which a new failure that a retry does not help is asked about again."""
        known = self._failure
        if known is None or not known.is_new:
            return
        interval, recheck_at = known.interval, known.recheck_at
        if not known.error.retryable and now >= recheck_at:
            interval = min(interval * 2 or timeouts.recheck_first, timeouts.recheck_max)
            recheck_at = now + interval
        self._failure = attrs.evolve(known, recheck_at=recheck_at, interval=interval, is_new=False)
