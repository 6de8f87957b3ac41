"""The state of an account, without an event loop."""

import attrs
import pytest

from mimi_async import (
    AnonymousId,
    ErasedAnonymousIdError,
    ForciblyLoggedOutError,
    MimiUser,
    NotAuthenticatedError,
    ServerUnreachableError,
    StoreCorruptError,
    StoreUnavailableError,
    UnknownAnonymousIdError,
)
from mimi_async.auth.state import AccountState, RestoreState
from mimi_async.records.resolver import Resolution
from mimi_async.secret import AccessToken
from mimi_async.timeouts import Timeouts
from mimi_async.wire import Session

from ..doubles import HEARING_TEST, an_id

UNKNOWN = UnknownAnonymousIdError("unknown")
TIMEOUTS = Timeouts(recheck_first=100.0, recheck_max=300.0)


def a_user(number: int = 1) -> MimiUser:
    return MimiUser(id=f"{number:032x}", anonymous_id=an_id(number))


def logged_in(user: MimiUser, *, asked_at: float = 0.0) -> Resolution:
    return Resolution(Session(user, AccessToken("token"), 900.0), asked_at=asked_at)


def restored(user: MimiUser | None = None) -> AccountState:
    state = AccountState()
    state.apply(Resolution(asked_at=0.0) if user is None else logged_in(user))
    state.commit()
    return state


def test_begins_unrestored_and_stale() -> None:
    state = AccountState()
    assert not state.is_restored
    assert not state.is_fresh(1e9, 0.0)
    assert state.may_retry(0.0)
    with pytest.raises(NotAuthenticatedError):
        state.require_user()


def test_a_commit_returns_the_user_before_and_shows_the_user_now() -> None:
    state, user = restored(), a_user()
    state.apply(logged_in(user))
    assert (state.user, state.committed_user) == (user, None)
    assert state.commit() is None
    assert state.committed_user == user


def test_a_user_is_as_old_as_the_question() -> None:
    state = restored()
    state.apply(logged_in(a_user(), asked_at=10.0))
    assert state.is_fresh(5.0, 14.9)
    assert not state.is_fresh(5.0, 15.0)
    state.set_user(a_user(), '"1"', 20.0)
    assert state.is_fresh(5.0, 24.0)
    state.expire_user()
    assert not state.is_fresh(1e9, 24.0)


def test_a_token_expires_by_the_time_that_the_server_gave_it() -> None:
    state = restored()
    state.apply(logged_in(a_user(), asked_at=10.0))
    assert state.valid_token(909.9) == AccessToken("token")
    assert state.valid_token(910.0) is None
    state.reject_token()
    assert state.valid_token(0.0) is None


@pytest.mark.parametrize("change", ["log-in", "test"])
def test_the_version_of_a_changed_user_is_not_known(change: str) -> None:
    state = restored(a_user())
    state.set_user(a_user(), '"1"', 0.0)
    if change == "log-in":
        state.apply(logged_in(a_user()))
    else:
        state.set_latest_test(attrs.evolve(HEARING_TEST, id="test-1"))
    assert state.etag is None


def test_returns_why_there_is_no_user() -> None:
    state, erased = restored(a_user()), ErasedAnonymousIdError("erased")
    assert state.apply(Resolution(None, erased, asked_at=0.0)) is erased
    assert (state.user, state.token) == (None, None)
    assert state.is_settled


def test_a_verdict_forces_a_user_out_and_keeps_the_account_restored() -> None:
    state = restored(a_user())
    with pytest.raises(ForciblyLoggedOutError):
        state.apply(Resolution(verdict=UNKNOWN, asked_at=0.0))
    assert (state.user, state.token) == (None, None)
    assert state.is_restored
    assert not state.is_settled
    assert state.has_verdict


def test_a_damaged_record_leaves_a_user_that_is_known() -> None:
    damaged, user = StoreCorruptError("damaged", revision=b"r" * 16), a_user()
    for state in (restored(user), AccountState()):
        with pytest.raises(StoreCorruptError):
            state.apply(Resolution(verdict=damaged, asked_at=0.0))
        assert state.has_verdict == (state.user is None)


def test_a_failure_is_kept_without_the_frames_of_its_caller() -> None:
    state = AccountState()
    try:
        raise UNKNOWN
    except UnknownAnonymousIdError as error:
        state.fail(error)
    assert type(state.failure) is UnknownAnonymousIdError
    assert state.failure.__traceback__ is None


def test_an_invalidated_account_has_no_user_and_keeps_the_committed_one_for_the_next_update() -> None:
    user = a_user()
    state = restored(user)
    state.invalidate(StoreUnavailableError("down"))
    assert state.commit() == user
    assert state.restore_state is RestoreState.INVALIDATED
    assert (state.user, state.committed_user) == (None, user)


def test_an_unconfirmed_write_is_remembered_until_the_record_is_resolved() -> None:
    user = a_user()
    state = restored(user)
    state.leave_unconfirmed(user, StoreUnavailableError("down"))
    assert state.restore_state is RestoreState.NOT_RESTORED
    assert (state.user, state.unconfirmed_user) == (None, user)
    state.apply(logged_in(user))
    assert state.unconfirmed_user is None


def test_the_interval_of_rechecks_doubles_up_to_its_limit_and_starts_again_after_a_success() -> None:
    state, now, intervals = AccountState(), 1000.0, []
    for _ in range(4):
        assert state.may_retry(now)
        state.fail(UNKNOWN)
        state.schedule_recheck(now, TIMEOUTS)
        intervals.append(state.recheck_interval)
        assert not state.may_retry(now + state.recheck_interval - 1)
        now += state.recheck_interval
    assert intervals == [100.0, 200.0, 300.0, 300.0]
    state.apply(logged_in(a_user()))
    state.fail(UNKNOWN)
    state.schedule_recheck(now, TIMEOUTS)
    assert state.recheck_interval == 100.0


def test_a_failure_before_the_recheck_does_not_postpone_it() -> None:
    state = AccountState()
    for now in (0.0, 50.0):
        state.fail(UNKNOWN)
        state.schedule_recheck(now, TIMEOUTS)
    state.schedule_recheck(100.0, TIMEOUTS)  # an operation that does not fail
    assert state.may_retry(100.0)


def test_a_retryable_failure_may_be_retried_at_once() -> None:
    state = AccountState()
    state.fail(ServerUnreachableError("down"))
    state.schedule_recheck(0.0, TIMEOUTS)
    assert state.may_retry(0.0)


def test_a_copy_of_another_id_does_not_count() -> None:
    state, user = restored(a_user()), a_user()
    state.set_copied(user.anonymous_id, is_reached=True)
    state.commit()
    assert state.copied_id == user.anonymous_id
    state.apply(logged_in(a_user(2)))
    state.commit()
    assert state.copied_id is None


@pytest.mark.parametrize(("user", "discarded"), [(None, an_id(7)), (a_user(), an_id(1))])
def test_a_start_over_returns_the_discarded_id_once(user: MimiUser | None, discarded: AnonymousId) -> None:
    state = restored(user)
    state.set_discarded(an_id(7))
    assert state.start_over(0.0) == discarded
    assert state.start_over(0.0) is None
    assert state.user is None
