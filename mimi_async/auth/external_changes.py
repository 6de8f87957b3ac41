"""The refresh of an account whose record another process has changed.

A refresh is not a call of the host: it creates no user, replays no creation and finishes no erasure. It asks the server
for one thing only: to log in with an active id that is not known here. A verdict that another process has got counts
here as well: two processes that get different verdicts, one of them with wrong settings, would else overwrite each
other's records without end.
"""

from contextlib import suppress
from typing import cast

from ..errors import ErasedAnonymousIdError, StoreConflictError, UnknownAnonymousIdError
from ..operations.operation import loop_time
from ..records.resolver import MAX_CONFLICTS, resolve_loaded, too_many_conflicts
from ..records.session import RecordSession
from ..secret import AnonymousId
from ..stores.base import StoredIdentity
from .result import ActionResult
from .state import AccountState, RestoreState


async def refresh(state: AccountState, session: RecordSession) -> ActionResult[None]:
    """Let the user be what the record says now. Before the first restore, only a verdict is looked at again."""
    is_unrestored = state.restore_state is RestoreState.NOT_RESTORED and not state.has_verdict
    if is_unrestored or state.unconfirmed_user is not None:
        return ActionResult(None)  # the next call restores
    for _ in range(MAX_CONFLICTS):
        with suppress(StoreConflictError):
            return ActionResult(None, await _follow(state, session, await session.load()))
    raise too_many_conflicts()


async def _follow(
    state: AccountState, session: RecordSession, record: StoredIdentity | None
) -> ErasedAnonymousIdError | None:
    user = state.user
    is_same = record is not None and user is not None and record.anonymous_id == user.anonymous_id
    match record:
        case StoredIdentity(state="active") if is_same:
            pass
        case StoredIdentity(state="pending"):
            state.forget_user(loop_time())
        case StoredIdentity(state="erasing"):  # its end is a change of its own
            if user is not None and not is_same:
                state.forget_user(loop_time())
        case StoredIdentity(state="rejected") if isinstance(state.failure, UnknownAnonymousIdError):
            pass
        case StoredIdentity(state="rejected") if state.is_restored:
            masked = cast("AnonymousId", record.anonymous_id).masked
            msg = f"no user is known by {masked}, another process has found; the record is rejected, the id was kept"
            raise state.reject(UnknownAnonymousIdError(msg))
        case None if state.is_restored:
            state.forget_user(loop_time())
        case _:
            return state.apply(await resolve_loaded(session, record))
    return None
