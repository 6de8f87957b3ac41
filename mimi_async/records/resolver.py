"""Do what the record of an account says: one resolver for restores, creations, erasures, and the recovery of a crash.

Only a verdict of the server may change what is stored. After any other failure the record stays as it is, and the next
operation resolves it again.
"""

from collections.abc import Awaitable
from typing import cast

import attrs

from .. import wire
from ..errors import (
    ErasedAnonymousIdError,
    ProtocolError,
    StoreConflictError,
    StoreCorruptError,
    UnknownAnonymousIdError,
)
from ..operations.operation import loop_time
from ..secret import AnonymousId, CreateKey
from ..stores.base import StoredIdentity
from .session import RecordChangedError, RecordSession

MAX_CONFLICTS = 8


@attrs.define(eq=False)  # a frozen one takes 0.6 µs longer to make
class Resolution:
    """Who the user of an account is, according to its record.

    Attributes:
        session: The user, logged in, or None.
        erased: Why there is no user, or another one than before: the user was erased.
        verdict: Why the user is not known: the server knows no user by the id, or the record is damaged.
        asked_at: The loop time of the question.
    """

    session: wire.Session | None = None
    erased: ErasedAnonymousIdError | None = None
    verdict: UnknownAnonymousIdError | StoreCorruptError | None = None
    asked_at: float = attrs.field(factory=loop_time)

    def raise_for_verdict(self) -> None:
        """Raise the verdict, if there is one."""
        if self.verdict is not None:
            raise self.verdict


def resolve(session: RecordSession, *, create: bool = False) -> Awaitable[Resolution]:
    """Load the record and do what it says, until it is known who the user is; with `create`, create one if need be.

    Raises:
        StoreConflictError: Other processes changed the record again and again, or it is gone.
        MimiError: The store, known_id or the server failed; the record was kept.
    """
    return RecordResolver(session, create=create).run()


def resolve_loaded(session: RecordSession, record: StoredIdentity | None) -> Awaitable[Resolution]:
    """Do what a record says that was loaded already.

    Raises:
        RecordChangedError: Another process has changed the record.
        MimiError: As `resolve`.
    """
    return RecordResolver(session, create=False).run_once(record)


def too_many_conflicts() -> StoreConflictError:
    """Return the error for a record that other processes change whenever it was read."""
    return StoreConflictError("other processes changed the record again and again: try again")


def fresh_token_rejected(reply: wire.Reply) -> ProtocolError:
    """Return the error for a server that rejects an access token that it has just issued."""
    msg = "the server rejects an access token that it has just issued; nothing was changed: try again later"
    return ProtocolError(msg, request_id=reply.request_id)


@attrs.define(eq=False, repr=False)
class RecordResolver:
    """One pass from a record to a `Resolution`.

    A step returns a `Resolution`, or the record that is stored after it, which the next step resolves.
    """

    _session: RecordSession
    _create: bool
    _asked_at: float = attrs.field(factory=loop_time)
    _erased: ErasedAnonymousIdError | None = None
    _known_id: AnonymousId | None = None
    _has_asked_known_id: bool = False
    _claims: int = 0

    async def run(self) -> Resolution:
        """Load the record and resolve it, again where another process has changed it."""
        conflicts = 0
        try:
            record = await self._session.load()
            while conflicts < MAX_CONFLICTS:
                try:
                    outcome = await self._step(record)
                except RecordChangedError as change:
                    record = change.record
                    conflicts += 1
                    continue
                if isinstance(outcome, Resolution):
                    return outcome
                record = outcome
        except (UnknownAnonymousIdError, StoreCorruptError) as error:
            verdict = error
        else:
            raise too_many_conflicts()
        return Resolution(verdict=verdict, asked_at=self._asked_at)

    async def run_once(self, record: StoredIdentity | None) -> Resolution:
        """Resolve a record that was loaded already, by one step."""
        try:
            return cast("Resolution", await self._step(record))  # it returns a record only where it may create a user
        except (UnknownAnonymousIdError, StoreCorruptError) as error:
            verdict = error
        return Resolution(verdict=verdict, asked_at=self._asked_at)

    def _step(self, record: StoredIdentity | None) -> Awaitable[Resolution | StoredIdentity | None]:
        match record:
            case None:
                return self._resolve_absent()
            case StoredIdentity(secret=CreateKey() as key):
                return self._replay(record, key)
            case StoredIdentity(state="erasing", secret=AnonymousId() as anonymous_id):
                return self._erase(record, anonymous_id)
            case StoredIdentity(secret=secret):
                return self._log_in(record, cast("AnonymousId", secret))

    async def _resolve_absent(self) -> Resolution | StoredIdentity:
        resolution = await self._adopt_known_id(None)
        if resolution is not None:
            return resolution
        if not self._create:
            return self._resolution(None)
        if self._claims == MAX_CONFLICTS:
            msg = "one user after another was erased as soon as it was created; nothing is stored: try again later"
            raise ProtocolError(msg)
        self._claims += 1
        return await self._session.claim(StoredIdentity.pending(CreateKey.generate()))

    async def _adopt_known_id(self, record: StoredIdentity | None) -> Resolution | None:
        """Log in with the id that the partner keeps, in place of nothing or of a creation that never ended."""
        if not self._has_asked_known_id:
            self._known_id = await self._session.ask_known_id()
            self._has_asked_known_id = True
        if self._known_id is None:
            return None
        try:
            session = await self._session.log_in(self._known_id)
        except ErasedAnonymousIdError as erased:
            self._erased, self._known_id = erased, None
            return None
        except UnknownAnonymousIdError:
            rejected = StoredIdentity(state="rejected", secret=self._known_id, user_id=None)
            await self._session.replace(record, rejected)
            raise
        await self._session.replace(record, StoredIdentity.active(self._known_id, session.user.id))
        return self._resolution(session)

    async def _replay(self, record: StoredIdentity, key: CreateKey) -> Resolution | None:
        if self._session.has_known_id and (resolution := await self._adopt_known_id(record)) is not None:
            return resolution
        reply = await self._session.ask(wire.create_user(key, deadline=self._session.deadline))
        try:
            session = wire.read_creation(reply)
        except ErasedAnonymousIdError as erased:
            return await self._forget(record, erased)
        await self._session.replace(record, StoredIdentity.active(session.user.anonymous_id, session.user.id))
        return self._resolution(session)

    async def _log_in(self, record: StoredIdentity, anonymous_id: AnonymousId) -> Resolution | None:
        try:
            session = await self._session.log_in(anonymous_id, record.user_id)
        except ErasedAnonymousIdError as erased:
            return await self._forget(record, erased)
        except UnknownAnonymousIdError:
            if record.state == "active":
                await self._session.replace(record, record.with_state("rejected"))
            raise
        if record.state == "rejected":
            await self._session.replace(record, StoredIdentity.active(anonymous_id, session.user.id))
        return self._resolution(session)

    async def _erase(self, record: StoredIdentity, anonymous_id: AnonymousId) -> Resolution | None:
        """Finish a reset. An id that the server does not know is kept: the core may be set to a wrong server."""
        try:
            await self._ask_to_erase(record, anonymous_id)
        except ErasedAnonymousIdError as erased:
            return await self._forget(record, erased)
        msg = f"the profile of {anonymous_id.masked} was erased by a reset: drop every copy of the id"
        return await self._forget(record, ErasedAnonymousIdError(msg, anonymous_id=anonymous_id))

    async def _ask_to_erase(self, record: StoredIdentity, anonymous_id: AnonymousId) -> None:
        """Log in and erase. A rejected fresh token means that another process was faster: the next log-in shows it."""
        for _ in range(2):
            session = await self._session.log_in(anonymous_id, record.user_id)
            reply = await self._session.ask(wire.erase_user(session.token, deadline=self._session.deadline))
            try:
                return wire.read_deletion(reply)
            except wire.TokenRejectedError:
                continue
        raise fresh_token_rejected(reply)

    async def _forget(self, record: StoredIdentity, erased: ErasedAnonymousIdError) -> Resolution | None:
        """Forget an erased user; where a user may be created, go on without a record."""
        self._erased = erased
        await self._session.forget(record)
        return None if self._create else self._resolution(None)

    def _resolution(self, session: wire.Session | None) -> Resolution:
        return Resolution(session, self._erased, asked_at=self._asked_at)
