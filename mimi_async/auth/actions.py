"""Actions on one account, which run under its lock: become a user, read and change what the server holds.

An action changes the state and the record, and delivers no update: it returns an `ActionResult`. An action that raises
leaves user and record as they were, unless a verdict of the server or another process has changed them.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import attrs

from .. import wire
from ..errors import (
    AlreadyAuthenticatedError,
    ErasedAnonymousIdError,
    MimiError,
    NotAuthenticatedError,
    StoreConflictError,
    StoreUnavailableError,
    UserConflictError,
)
from ..hearing.results import HearingTestResult
from ..identity import MimiUser
from ..operations.operation import loop_time
from ..records.resolver import fresh_token_rejected, resolve
from ..records.session import RecordSession
from ..secret import AccessToken, Secret
from ..stores.base import StoredIdentity
from .result import ActionResult, UserChangedError
from .state import AccountState

T = TypeVar("T")


async def restore(state: AccountState, session: RecordSession) -> ActionResult[None]:
    """Do what the record says, unless an earlier operation has done so."""
    if state.is_settled:
        return ActionResult(None)
    if state.unconfirmed_user is not None:
        with suppress(StoreConflictError):  # then the record says who the user is
            await _write_back(session, state.unconfirmed_user)
    return ActionResult(None, state.apply(await resolve(session)))


async def ensure_user(state: AccountState, session: RecordSession) -> ActionResult[MimiUser]:
    """Return the user; create one where there is none."""
    if state.user is None:
        state.apply(await resolve(session, create=True))
    return ActionResult(state.require_user())


async def create_user(state: AccountState, session: RecordSession) -> ActionResult[MimiUser]:
    """Create a user; an `AlreadyAuthenticatedError` where there is one."""
    if state.user is not None:
        msg = f"there is a user already, {state.user.anonymous_id.masked}: log_out() first, or use ensure_user()"
        raise AlreadyAuthenticatedError(msg)
    return await ensure_user(state, session)


async def find_user(state: AccountState, session: RecordSession, *, max_age: float) -> ActionResult[MimiUser | None]:
    """Ask who the user is, unless an operation that had the lock before has asked."""
    user = state.user
    if state.is_fresh(max_age, loop_time()):
        return ActionResult(user)
    if user is None:
        erased = state.apply(await resolve(session))
        return ActionResult(state.user, erased)
    try:
        return ActionResult(await _reload(state, session))
    except (ErasedAnonymousIdError, NotAuthenticatedError, StoreConflictError) as error:
        if state.user == user:
            raise
        return ActionResult(state.user, error if isinstance(error, ErasedAnonymousIdError) else None)


async def reload_user(state: AccountState, session: RecordSession) -> ActionResult[MimiUser]:
    """Read the user again."""
    return ActionResult(await _reload(state, session))


async def update_user(
    state: AccountState, session: RecordSession, *, changes: Mapping[str, Any], if_unchanged: MimiUser | None
) -> ActionResult[MimiUser]:
    """Change fields of the user; a `UserConflictError` if the user differs from `if_unchanged`."""
    if if_unchanged is None:
        return ActionResult(await _patch(state, session, changes, None))
    if state.etag is None or state.require_user() != if_unchanged:
        await _reload(state, session)
    if state.require_user() == if_unchanged:
        with suppress(wire.VersionRejectedError):
            return ActionResult(await _patch(state, session, changes, state.etag))
        await _reload(state, session)
    user = state.require_user()
    if user.id == if_unchanged.id and changes and all(getattr(user, name) == changes[name] for name in changes):
        return ActionResult(user)  # an earlier attempt has set it, and its reply was lost
    msg = "the user was changed elsewhere since it was read; nothing was overwritten: show .current_user, ask again"
    raise UserConflictError(msg, current_user=user)


async def submit_hearing_test(
    state: AccountState, session: RecordSession, *, result: HearingTestResult, key: Secret
) -> ActionResult[HearingTestResult]:
    """Store a hearing test at the server."""
    make = partial(wire.submit_test, result, key, deadline=session.deadline)
    test, is_latest = await _ask_as_user(state, session, make, wire.read_submission)
    if not is_latest:
        state.expire_user()  # another test is the latest, which may not be known here
    elif state.require_user().latest_hearing_test != test:
        state.set_latest_test(test)
    return ActionResult(test)


async def delete_hearing_test(state: AccountState, session: RecordSession, *, test_id: str) -> ActionResult[None]:
    """Delete a hearing test at the server, and read the user again."""
    make = partial(wire.delete_test, test_id, deadline=session.deadline)
    await _ask_as_user(state, session, make, wire.read_deletion)
    await _reload(state, session)
    return ActionResult(None)


@attrs.frozen
class HearingTestPage:
    """Some hearing tests of a user, the last received first. The next page begins at `cursor`, None at the end."""

    user_id: str
    tests: list[HearingTestResult]
    cursor: str | None


async def list_hearing_tests(
    state: AccountState, session: RecordSession, *, previous: HearingTestPage | None
) -> ActionResult[HearingTestPage]:
    """Read the page of hearing tests after `previous`, which must be of the same user, or the first one."""
    user_id = state.require_user().id
    if previous is not None and previous.user_id != user_id:
        msg = "the user has changed while the hearing tests were listed: list them again"
        raise NotAuthenticatedError(msg)
    make = partial(wire.list_tests, None if previous is None else previous.cursor, deadline=session.deadline)
    tests, cursor = await _ask_as_user(state, session, make, wire.read_tests)
    return ActionResult(HearingTestPage(user_id, tests, cursor))


async def export_data(state: AccountState, session: RecordSession) -> ActionResult[bytes]:
    """Read everything that the server holds about the user."""

    def read(reply: wire.Reply) -> bytes:
        return wire.read_export(reply, state.require_user())

    return ActionResult(await _ask_as_user(state, session, partial(wire.export_user, deadline=session.deadline), read))


async def take_back_write(
    state: AccountState, session: RecordSession, user: MimiUser, error: Exception, seconds: float
) -> None:
    """After a store write without an answer, make the record name the user again; else the user is no longer known."""
    session.take_back()
    try:
        async with asyncio.timeout(seconds):
            await _write_back(session, user)
    except (MimiError, TimeoutError) as failure:
        why = error if isinstance(error, MimiError) else StoreUnavailableError(str(failure))
        state.leave_unconfirmed(user, why)


async def _write_back(session: RecordSession, user: MimiUser) -> None:
    """Write an active record of the user, with a revision that a write on its way does not expect."""
    record = await session.load()
    is_same = record is None or record.anonymous_id == user.anonymous_id
    if not is_same or (record is not None and record.state == "rejected"):
        msg = "another process has changed the record: the next call does what it says now"
        raise StoreConflictError(msg)
    await session.replace(record, StoredIdentity.active(user.anonymous_id, user.id))


async def _reload(state: AccountState, session: RecordSession) -> MimiUser:
    """Read the user again. Where its version is known, the server answers 304 unless the user has changed."""
    known, etag = state.require_user(), state.etag
    make = partial(wire.get_user, if_none_match=etag, deadline=session.deadline)
    return await _read_user(state, session, make, known=None if etag is None else known)


async def _patch(state: AccountState, session: RecordSession, changes: Mapping[str, Any], etag: str | None) -> MimiUser:
    make = partial(wire.patch_user, changes, if_match=etag, deadline=session.deadline)
    return await _read_user(state, session, make)


async def _read_user(
    state: AccountState,
    session: RecordSession,
    make: Callable[[AccessToken], wire.Request],
    *,
    known: MimiUser | None = None,
) -> MimiUser:
    asked_at, known_etag = loop_time(), state.etag

    def read(reply: wire.Reply) -> tuple[MimiUser, str | None]:
        user = wire.read_user(reply, state.require_user(), known=known)
        return user, known_etag if user is known else wire.read_version(reply)

    user, etag = await _ask_as_user(state, session, make, read)
    state.set_user(user, etag, asked_at)
    return user


async def _ask_as_user(
    state: AccountState,
    session: RecordSession,
    make: Callable[[AccessToken], wire.Request],
    read: Callable[[wire.Reply], T],
) -> T:
    """Ask on behalf of the user. A rejected access token is renewed once, and the request is sent once more."""
    user = state.require_user()
    for _ in range(2):
        token = state.valid_token(loop_time()) or await _renew_token(state, session, user)
        reply = await session.ask(make(token))
        try:
            return read(reply)
        except wire.TokenRejectedError:
            state.reject_token()
    raise fresh_token_rejected(reply)


async def _renew_token(state: AccountState, session: RecordSession, user: MimiUser) -> AccessToken:
    """Log in by resolving the record, so that a verdict counts, and so does a change of another process."""
    erased = state.apply(await resolve(session))
    if state.user is None or state.token is None:
        raise erased or NotAuthenticatedError("another process has logged this account out")
    if state.user.anonymous_id != user.anonymous_id:
        msg = "another process has logged this account in as another user; nothing was done for that user: try again"
        raise UserChangedError(msg)
    return state.token
