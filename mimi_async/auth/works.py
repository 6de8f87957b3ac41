"""What the turns of a controller do, once they hold its lock."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, cast

import attrs

from .. import wire
from ..errors import (
    AlreadyAuthenticatedError,
    ConfigurationError,
    ErasedAnonymousIdError,
    ForciblyLoggedOutError,
    NotAuthenticatedError,
    StoreConflictError,
    StoreCorruptError,
    UnknownAnonymousIdError,
)
from ..hearing.results import HearingTestResult
from ..identity import AccessToken, AnonymousId, MimiUser, Secret
from ..stores.base import DamagedIdentity, StoredIdentity
from .following import Found, adopt, follow, rejected_afresh
from .heeding import Heeding
from .records import RecordChangedError
from .turn import Turn

_T = TypeVar("_T")


class Works(Heeding):
    """The works of one account: each runs inside a turn, changes the state and the record, and tells nobody.

    A work that raises leaves user and record as they were, unless a verdict of the server or another process has
    changed them: then the state says what is true now.
    """

    __slots__ = ()

    # Becoming a user -------------------------------------------------------------------------------------------------

    async def _restore(self, turn: Turn[None]) -> None:
        if self._is_restored:
            return
        if self._doubted is not None:
            with suppress(StoreConflictError):  # then the record says who it is
                await self._put_back(turn, self._doubted)
        await self._follow(turn)

    async def _ensured(self, turn: Turn[MimiUser]) -> MimiUser:
        if self._user is None:
            await self._follow(turn, create=True)
        return self._required_user()

    async def _made(self, turn: Turn[MimiUser]) -> MimiUser:
        if self._user is not None:
            msg = f"there is a user already, {self._user.anonymous_id.masked}: log_out() first, or use ensure_user()"
            raise AlreadyAuthenticatedError(msg)
        return await self._ensured(turn)

    async def _logged_in(self, anonymous_id: AnonymousId, turn: Turn[MimiUser]) -> MimiUser:
        if self._user is not None and self._user.anonymous_id == anonymous_id:
            await self._follow(turn)
        if turn.note is None and (self._user is None or self._user.anonymous_id != anonymous_id):
            found = await adopt(self._shared.records, turn, self.account, anonymous_id)
            if found.session is not None or self._user is None:
                self._become(found.session)
            turn.note = found.erased
        if turn.note is not None:
            raise turn.note
        return self._required_user()

    # Being one -------------------------------------------------------------------------------------------------------

    async def _found(self, turn: Turn[MimiUser | None]) -> MimiUser | None:
        user = self._user
        if user is None:
            await self._follow(turn)
            return self._user
        try:
            return await self._reread(turn, partial(wire.get_user, deadline=turn.deadline))
        except (ErasedAnonymousIdError, NotAuthenticatedError, StoreConflictError):
            if self._user == user:
                raise
        return self._user

    async def _reread(self, turn: Turn[Any], make: Callable[[AccessToken], wire.Request]) -> MimiUser:
        def read(reply: wire.Reply) -> MimiUser:
            return wire.read_user(reply, self._required_user())

        self._user = await self._as_user(turn, make, read)
        return self._user

    async def _submitted(
        self, result: HearingTestResult, key: Secret, turn: Turn[HearingTestResult]
    ) -> HearingTestResult:
        make = partial(wire.submit_test, result, key, deadline=turn.deadline)
        test = await self._as_user(turn, make, wire.read_test)
        user = self._required_user()
        newest = user.latest_hearing_test
        if newest is None or newest.taken_at <= test.taken_at:
            self._user = attrs.evolve(user, latest_hearing_test=test)
        return test

    def _required_user(self) -> MimiUser:
        if self._user is None:
            msg = "there is no user yet: `await auth.ensure_user()` makes one"
            raise NotAuthenticatedError(msg)
        return self._user

    async def _as_user(
        self, turn: Turn[Any], make: Callable[[AccessToken], wire.Request], read: Callable[[wire.Reply], _T]
    ) -> _T:
        """Ask on behalf of the user; a rejected access token is renewed once, and the request replayed once."""
        user = self._required_user()
        for _ in range(2):
            if self._token is None or asyncio.get_running_loop().time() >= self._token_ends:
                await self._renew(turn, user)
            reply = await self._shared.records.ask(turn, make(cast("AccessToken", self._token)))
            try:
                return read(reply)
            except wire.TokenRejectedError:
                self._token = None
        raise rejected_afresh(reply)

    async def _renew(self, turn: Turn[Any], user: MimiUser) -> None:
        """Log in anew by following the record: a verdict then counts, and so does what others have done to it."""
        await self._follow(turn)
        if self._user is None:
            if turn.note is not None:
                raise turn.note
            msg = "another process has logged this account out"
            raise NotAuthenticatedError(msg)
        if self._user.anonymous_id != user.anonymous_id:
            turn.is_quiet = True
            msg = "another process has logged this account in as another user; nothing was done for that one: try again"
            raise StoreConflictError(msg)

    # Being one no more -----------------------------------------------------------------------------------------------

    async def _logged_out(self, turn: Turn[None]) -> None:
        if self._user is None:
            return None
        record = await self._own_record(turn)
        if record is not None and record.state == "erasing":
            return await self._follow(turn)  # forgetting it would undo the reset that another process has begun
        if record is not None:
            await self._shared.records.forget(turn, self.account, record)
        return self._become(None)

    async def _erased(self, turn: Turn[None]) -> None:
        self._required_user()
        records = self._shared.records
        record = await self._own_record(turn)
        if record is None:
            self._become(None)
            msg = "another process has logged this account out: log in again to erase the profile"
            raise NotAuthenticatedError(msg)
        turn.is_in_doubt = True  # until all has ended well: a reset that raises is put back
        erasing = await records.replace(turn, self.account, record, record.turned("erasing"))
        found = await self._followed_to_erasure(turn, erasing)
        turn.is_in_doubt = False
        if isinstance(found, UnknownAnonymousIdError):
            raise self._forced_out(found)
        self._become(found.session)
        if found.erased is None:
            msg = "another process has changed the record meanwhile: it is not known that the profile was erased"
            raise StoreConflictError(msg)
        turn.note = None if found.session else found.erased

    async def _followed_to_erasure(self, turn: Turn[None], erasing: StoredIdentity) -> Found | UnknownAnonymousIdError:
        records = self._shared.records
        try:
            return await follow(records, turn, self.account)
        except UnknownAnonymousIdError as error:
            verdict = error
        await records.replace(turn, self.account, erasing, erasing.turned("rejected"))
        return verdict

    async def _started_over(self, turn: Turn[AnonymousId | None]) -> AnonymousId | None:
        records = self._shared.records
        record: StoredIdentity | DamagedIdentity | None
        try:
            record = await records.load(turn, self.account)
        except StoreCorruptError as error:
            if error.revision is None:
                raise
            record = DamagedIdentity(error.revision)
        is_verdict = isinstance(self._failure, (UnknownAnonymousIdError, StoreCorruptError))
        match record:
            case DamagedIdentity():
                await records.forget(turn, self.account, record)
            case StoredIdentity(state="rejected" | "erasing" as state) if is_verdict or state == "rejected":
                self._set_down = record.anonymous_id if await self._is_still_unknown(turn) else None
                if self._set_down is not None:
                    await records.forget(turn, self.account, record)
            case None if is_verdict or (self._is_restored and self._user is None):
                pass
            case _:
                msg = "the record is neither rejected nor damaged: nothing was set down; use log_out() or reset()"
                raise ConfigurationError(msg)
        user = self._user  # whose record was damaged while it was here
        set_down = self._set_down if user is None else user.anonymous_id
        self._become(None)
        self._set_down = None
        return set_down

    async def _is_still_unknown(self, turn: Turn[Any]) -> bool:
        """Ask about a rejected id once more: the verdict may have been a mistake, and a profile hangs on it."""
        try:
            await self._follow(turn)
        except (UnknownAnonymousIdError, ForciblyLoggedOutError):
            return True
        if self._user is not None:
            msg = f"the server knows {self._user.anonymous_id.masked} again: nothing was set down, the user is back"
            raise ConfigurationError(msg)
        return False

    async def _own_record(self, turn: Turn[None]) -> StoredIdentity | None:
        """Return the record if it is the current user's; else become what it says, and let the caller decide again."""
        record = await self._shared.records.load(turn, self.account)
        if record is None or record.anonymous_id == self._required_user().anonymous_id:
            return record
        await self._follow(turn)
        turn.is_quiet = True
        raise RecordChangedError(record)
