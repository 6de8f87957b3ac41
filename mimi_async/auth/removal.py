"""Actions that remove an id from the store: log out, reset, start over, log in as another user.

The store may hold the only copy of an id, so that a removal would lose the profile for its person: see `_check_copy`.
"""

from typing import cast

from ..errors import (
    ConfigurationError,
    ForciblyLoggedOutError,
    MimiError,
    NotAuthenticatedError,
    OnlyCopyError,
    StoreConflictError,
    StoreCorruptError,
    UnknownAnonymousIdError,
)
from ..identity import MimiUser
from ..operations.operation import loop_time
from ..records.resolver import MAX_CONFLICTS, Resolution, resolve, resolve_loaded, too_many_conflicts
from ..records.session import Drop, RecordChangedError, RecordSession
from ..secret import AnonymousId
from ..stores.base import DamagedIdentity, StoredIdentity
from .result import ActionResult, PostponedError, UserChangedError
from .state import AccountState

_CHANGED = "another process has changed the record; nothing was written over it: try again"


async def log_in(
    state: AccountState, session: RecordSession, *, anonymous_id: AnonymousId, is_last_call: bool
) -> ActionResult[MimiUser]:
    """Log in with an id that the host gives, and store it in place of another one, once the server has accepted it."""
    if state.user is not None and state.user.anonymous_id == anonymous_id:
        erased = state.apply(await resolve(session))
        if erased is not None:
            raise erased
    if state.user is None or state.user.anonymous_id != anonymous_id:
        resolution = await _adopt(state, session, anonymous_id, is_last_call=is_last_call)
        if resolution.session is not None or state.user is None:
            state.apply(resolution)
        if resolution.erased is not None:
            raise resolution.erased
    return ActionResult(state.require_user())


async def _adopt(
    state: AccountState, session: RecordSession, anonymous_id: AnonymousId, *, is_last_call: bool
) -> Resolution:
    """Log in with an id and store it. A creation or an erasure that was begun is finished first."""
    record = await session.load()
    for _ in range(MAX_CONFLICTS):
        try:
            if record is not None and record.state in ("pending", "erasing"):
                (await resolve(session)).raise_for_verdict()
                record = await session.load()
            if record is not None and record.anonymous_id == anonymous_id:
                resolution = await resolve_loaded(session, record)
                resolution.raise_for_verdict()
                return resolution
            logged_in = await session.log_in(anonymous_id)
            if record is not None and record.anonymous_id is not None:
                await _check_replaceable(state, session, record, is_last_call=is_last_call)
            await session.replace(record, StoredIdentity.active(anonymous_id, logged_in.user.id))
            return Resolution(logged_in)
        except RecordChangedError as change:
            record = change.record
    raise too_many_conflicts()


async def _check_replaceable(
    state: AccountState, session: RecordSession, record: StoredIdentity, *, is_last_call: bool
) -> None:
    """Check whether a record may be replaced by that of another user: see `_check_copy`.

    A rejected id is asked about once more, since its verdict may have been a mistake. The record may be replaced if the
    server still knows no user by the id.
    """
    anonymous_id = cast("AnonymousId", record.anonymous_id)
    if record.state == "rejected" and not await _has_copy(state, session, anonymous_id):
        try:
            erased = state.apply(await resolve(session))
        except (UnknownAnonymousIdError, ForciblyLoggedOutError):
            return
        if erased is not None:
            raise UserChangedError(_CHANGED, erased) if is_last_call else PostponedError(ActionResult(None, erased))
    await _check_copy(state, session, anonymous_id, is_last_call=is_last_call)


async def _has_copy(state: AccountState, session: RecordSession, anonymous_id: AnonymousId) -> bool:
    """Return whether the host holds a copy of an id, as far as is known."""
    known = await session.ask_known_id()
    return anonymous_id == (known if session.has_known_id else state.copied_id)


async def _check_copy(
    state: AccountState, session: RecordSession, anonymous_id: AnonymousId, *, is_last_call: bool
) -> None:
    """Check that the host holds a copy of an id.

    Where `known_id` returns another id although the last update with this one has reached the host, the id is not
    delivered again: the host would write it over the other one.

    Raises:
        PostponedError: The id is delivered to the host once more.
        OnlyCopyError: The host holds no copy, and to deliver the id once more does not help.
    """
    known = await session.ask_known_id()
    if anonymous_id == (known if session.has_known_id else state.copied_id):
        return
    if is_last_call or (known is not None and state.copied_id == anonymous_id):
        raise _only_copy(anonymous_id, known, has_known_id=session.has_known_id)
    try:
        error: MimiError | None = state.apply(await resolve(session))  # another product may have erased the user
    except (UnknownAnonymousIdError, ForciblyLoggedOutError) as verdict:
        error = verdict
    raise PostponedError(ActionResult(None, error, repeats_update=error is None and state.user is not None))


def _only_copy(anonymous_id: AnonymousId, known: AnonymousId | None, *, has_known_id: bool) -> OnlyCopyError:
    if has_known_id:
        fact = "known_id returns nothing" if known is None else "known_id returns another id"
    else:
        fact = "there is no observer that got it without a failure"
    msg = (
        f"{anonymous_id.masked} was kept, since the store may hold its only copy ({fact}): "
        "store the id at the host and try again, or give it up by log_out(discard_id=True)"
    )
    return OnlyCopyError(msg)


async def log_out(
    state: AccountState, session: RecordSession, *, discard_id: bool = False, is_last_call: bool = True
) -> ActionResult[None]:
    """Remove the id from the store; the profile stays at the server."""
    if state.user is None:
        return ActionResult(None)
    record = await _load_own_record(state, session)
    if record is not None and record.state == "erasing":  # to forget it would undo the reset of another process
        return ActionResult(None, state.apply(await resolve(session)))
    if not discard_id:
        await _check_copy(state, session, state.require_user().anonymous_id, is_last_call=is_last_call)
    if record is not None:
        await session.forget(record)
    state.forget_user(loop_time())
    return ActionResult(None)


async def reset(state: AccountState, session: RecordSession) -> ActionResult[None]:
    """Erase the profile at the server, then forget the id. An id that the server does not know is rejected."""
    record = await _load_own_record(state, session)
    if record is None:
        state.forget_user(loop_time())
        msg = "another process has logged this account out: log in again to erase the profile"
        raise NotAuthenticatedError(msg)
    with session.unconfirmed():  # a reset that raises is taken back
        erasing = await session.replace(record, record.with_state("erasing"))
        resolution = await resolve(session)
        if isinstance(resolution.verdict, UnknownAnonymousIdError):
            await session.replace(erasing, erasing.with_state("rejected"))
        else:
            resolution.raise_for_verdict()
    error = state.apply(resolution)
    if resolution.erased is None:
        msg = "another process has changed the record: it is not known that the profile was erased"
        raise StoreConflictError(msg)
    return ActionResult(None, error)


async def _load_own_record(state: AccountState, session: RecordSession) -> StoredIdentity | None:
    """Load the record of the current user; a `UserChangedError` if it holds another id, which the state follows."""
    user = state.require_user()
    record = await session.load()
    if record is None or record.anonymous_id == user.anonymous_id:
        return record
    raise UserChangedError(_CHANGED, state.apply(await resolve(session)))


async def start_over(
    state: AccountState, session: RecordSession, *, drop: Drop | None
) -> ActionResult[AnonymousId | None]:
    """Discard a record that is rejected or damaged, and go on without a user; return the discarded id."""
    error = None
    match await _load_damaged(session):
        case DamagedIdentity() as damaged:
            await _discard(state, session, damaged, drop, None if state.user is None else state.user.anonymous_id)
        case StoredIdentity(state="rejected" | "erasing" as stage) as record if state.has_verdict or stage != "erasing":
            try:  # once more: the verdict may have been a mistake, and a profile depends on it
                error, is_unknown = state.apply(await resolve(session)), False
            except (UnknownAnonymousIdError, ForciblyLoggedOutError):
                is_unknown = True
            if state.user is not None:
                masked = state.user.anonymous_id.masked
                msg = f"the server knows {masked} again: nothing was discarded, the user is back"
                raise ConfigurationError(msg)
            state.set_discarded(record.anonymous_id if is_unknown else None)
            if is_unknown:
                await _discard(state, session, record, drop, record.anonymous_id)
        case None if state.has_verdict or (state.is_restored and state.user is None):
            pass
        case _:
            msg = "the record is neither rejected nor damaged: nothing was discarded; use log_out() or reset()"
            raise ConfigurationError(msg)
    return ActionResult(state.start_over(loop_time()), error)


async def _load_damaged(session: RecordSession) -> StoredIdentity | DamagedIdentity | None:
    """Load the record, also one that can't be read."""
    try:
        return await session.load()
    except StoreCorruptError as error:
        if error.revision is None:
            raise
        return DamagedIdentity(error.revision)


async def _discard(
    state: AccountState,
    session: RecordSession,
    record: StoredIdentity | DamagedIdentity,
    drop: Drop | None,
    anonymous_id: AnonymousId | None,
) -> None:
    """Remove a record, after the host has removed its copy: else known_id would return the id again in between."""
    if drop is not None:
        await session.drop(drop, anonymous_id)
    try:
        await session.forget(record)
    except RecordChangedError as change:
        raise UserChangedError(_CHANGED, state.apply(await resolve(session)) or change) from None
