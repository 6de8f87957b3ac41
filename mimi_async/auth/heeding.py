"""How an account heeds its record: it follows it when it is asked to, and when others have changed it."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, cast

from .. import wire
from ..errors import (
    ForciblyLoggedOutError,
    MimiError,
    StoreConflictError,
    StoreCorruptError,
    StoreUnavailableError,
    UnknownAnonymousIdError,
    described,
)
from ..identity import AnonymousId, MimiUser
from ..stores.base import StoredIdentity
from .actor import Actor, T
from .following import MOST_CONFLICTS, Found, fickle, follow, follow_on
from .turn import Turn


class Notice(Turn[None]):
    """A turn that asks the store who the user is by now; nobody waits for it.

    Attributes:
        has_begun: Whether it has reached the lock: a change that comes after that needs a notice of its own.
        known_failure: What kind of failure was known before it, which is not told again.
    """

    __slots__ = ("has_begun", "known_failure")

    def __init__(self, deadline: float) -> None:
        super().__init__(deadline, returns_at_commit=True)
        self.has_begun: bool = False
        self.known_failure: type[MimiError] | None = None

    def hold(self, holder: object) -> None:
        """Say whose lock it has reached: what it asks from now on is no older than any news that came before."""
        super().hold(holder)
        self.has_begun = True


class Heeding(Actor):
    """The state of one account, as its record says.

    A notice is no call of the host's: it makes no user, replays no creation and finishes no erasure. It asks the server
    for one thing only, to log in with an active id that it does not know yet. What another process was told by the
    server counts here as well: were it asked again, two processes that are told different things, one of them being set
    up wrongly, would answer each other's writes for ever.
    """

    __slots__ = ()

    @property
    def is_busy(self) -> bool:
        """Whether a turn is under way, or waits for one."""
        return self._underway > 0

    def heed(self) -> Notice:
        """Take a turn that makes the current user what the record says by now, and return it.

        What it comes to is announced: `(None, old, None)`, `(new, old, None)`, forced out. Where store or server give
        no answer it is not known any more who the user is: `current_user` raises, the gate is shut, and the next call
        restores, or the next notice. Of an account that was not restored yet, only a verdict is looked at again.
        """
        notice = Notice(asyncio.get_running_loop().time() + self._shared.patience)
        self._start(notice, lambda _: self._heeded(notice))
        return notice

    async def _heeded(self, notice: Notice) -> None:
        is_verdict = isinstance(self._failure, (UnknownAnonymousIdError, StoreCorruptError))
        if self._doubted is not None or (self._is_restored is False and not is_verdict):
            return None  # the next call restores anyway
        notice.known_failure = None if self._failure is None else type(self._failure)
        for _ in range(MOST_CONFLICTS):
            with suppress(StoreConflictError):
                record = await self._shared.records.load(notice, self.account)
                return await self._become_as(notice, record)
        raise fickle()

    async def _become_as(self, notice: Notice, record: StoredIdentity | None) -> None:
        user, is_known = self._user, bool(self._is_restored)
        is_same = record is not None and user is not None and record.anonymous_id == user.anonymous_id
        match record:
            case StoredIdentity(state="active") if is_same:
                pass
            case StoredIdentity(state="pending"):
                self._become(None)
            case StoredIdentity(state="erasing"):  # what comes of it is a change of its own
                if user is not None and not is_same:
                    self._become(None)
            case StoredIdentity(state="rejected") if isinstance(self._failure, UnknownAnonymousIdError):
                pass
            case StoredIdentity(state="rejected") if is_known:
                self._reject(record)
            case None if is_known:
                self._become(None)
            case _:
                await self._walk(notice, follow_on(self._shared.records, notice, self.account, record))

    def _reject(self, record: StoredIdentity) -> None:
        """Be without a user, by a verdict that another process was told.

        Raises:
            ForciblyLoggedOutError: There was a user.
            UnknownAnonymousIdError: There was none.
        """
        who = cast("AnonymousId", record.anonymous_id).masked
        verdict = UnknownAnonymousIdError(f"no user is known by {who}, another process was told; the id was set aside")
        self._failure = verdict
        raise self._forced_out(verdict) if self._user else verdict

    async def _failed(self, turn: Turn[T], failure: Exception) -> None:
        if not isinstance(turn, Notice):
            return await super()._failed(turn, failure)
        turn.is_quiet = type(failure) is turn.known_failure
        if not turn.is_quiet and not isinstance(failure, (ForciblyLoggedOutError, UnknownAnonymousIdError)):
            turn.note = self._lose(failure)
        return None

    def _lose(self, failure: Exception) -> MimiError:
        """Know nothing any more: never go on as a user that may be somebody else's by now."""
        if not isinstance(failure, MimiError):
            failure = StoreUnavailableError(f"a change in the store could not be heeded: {described(failure)}")
        self._is_restored, self._user, self._token = None, None, None
        self._failure = failure
        if self._shared.turns.is_open:
            self.gate.is_open, self.gate.cause = False, None  # undecided, until it is known whether it is tried again
            self._shared.on_lost(self)
        return failure

    # What all works have in common -----------------------------------------------------------------------------------

    def _follow(self, turn: Turn[Any], *, create: bool = False) -> Awaitable[None]:
        """Become what the record says."""
        return self._walk(turn, follow(self._shared.records, turn, self.account, create=create))

    async def _walk(self, turn: Turn[Any], following: Awaitable[Found]) -> None:
        try:
            found = await following
        except UnknownAnonymousIdError as error:
            verdict = self._failure = error
            if self._user is None:
                raise
        except StoreCorruptError as error:
            if self._user is None:
                self._failure = error
            raise
        else:
            self._become(found.session)
            turn.note = found.erased if found.session is None else None
            return
        raise self._forced_out(verdict)

    def _forced_out(self, verdict: MimiError) -> ForciblyLoggedOutError:
        user, self._user, self._token = cast("MimiUser", self._user), None, None
        self._failure = verdict
        msg = f"{user.anonymous_id.masked} was logged out, keep your copy of the id: {verdict}"
        return ForciblyLoggedOutError(msg, request_id=verdict.request_id)

    def _become(self, session: wire.Session | None) -> None:
        self._is_restored, self._failure, self._doubted = True, None, None
        if session is None:
            self._user = self._token = None
        else:
            self._user, self._token, self._set_down = session.user, session.token, None
            self._token_ends = asyncio.get_running_loop().time() + session.expires_in
