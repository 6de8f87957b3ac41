"""The record says what to do: one place that follows it, for restores, creations, erasures and after a crash.

Only a verdict of the server may change what is stored. Whatever else happens, the record stays as it is, and whoever
comes next follows it again.
"""

from collections.abc import Awaitable
from typing import Any, cast

import attrs

from .. import wire
from ..errors import (
    ConfigurationError,
    ErasedAnonymousIdError,
    ProtocolError,
    StoreConflictError,
    StoreUnavailableError,
    UnknownAnonymousIdError,
)
from ..identity import AnonymousId, CreateKey
from ..stores.base import StoredIdentity
from .foreign import foreign
from .records import RecordChangedError, Records
from .turn import Turn

MOST_CONFLICTS = 8


@attrs.frozen
class Found:
    """What the record came to.

    Attributes:
        session: The user that is logged in, or None.
        erased: Why there is none, or another than before: the user was erased.
    """

    session: wire.Session | None = None
    erased: ErasedAnonymousIdError | None = None


def follow(records: Records, turn: Turn[Any], account: str, *, create: bool = False) -> Awaitable[Found]:
    """Do what the record of an account says, until there is a user or none.

    Args:
        records: Asks the store and the server.
        turn: On whose behalf.
        account: Whose record.
        create: Make a user where there is none.

    Raises:
        UnknownAnonymousIdError: The server knows no user by the id, which was set aside.
        StoreConflictError: The record was changed again and again, or is gone.
        MimiError: Whatever the store, known_id or the server came to; the record was kept.
    """
    return _Following(records, turn, account, create).to_the_end()


def follow_on(records: Records, turn: Turn[Any], account: str, record: StoredIdentity | None) -> Awaitable[Found]:
    """Do what a record says that was read already, and nothing that another one says.

    Raises:
        RecordChangedError: It was changed meanwhile.
        MimiError: As `follow`.
    """
    return _Following(records, turn, account, create=False).step(record)


async def adopt(records: Records, turn: Turn[Any], account: str, anonymous_id: AnonymousId) -> Found:
    """Log in with an id that the host gives, and keep it in place of what is stored, once the server said yes.

    A creation or an erasure that was begun is followed to its end first.

    Raises:
        MimiError: Whatever the store, known_id or the server came to; the record was kept.
    """
    record = await records.load(turn, account)
    for _ in range(MOST_CONFLICTS):
        try:
            if record is not None and record.state in ("pending", "erasing"):
                await follow(records, turn, account)
                record = await records.load(turn, account)
            if record is not None and record.anonymous_id == anonymous_id:
                return await follow_on(records, turn, account, record)
            session = await records.log_in(turn, anonymous_id, None)
            active = StoredIdentity.active(anonymous_id, session.user.id)
            await records.replace(turn, account, record, active)
            return Found(session)
        except RecordChangedError as change:
            record = change.record
    raise fickle()


def fickle() -> StoreConflictError:
    """Return the error for a record that others change whenever it was read."""
    return StoreConflictError("the record was changed by others again and again: try again")


def rejected_afresh(reply: wire.Reply) -> ProtocolError:
    """Return the error for a server that rejects the access tokens that it has just given out."""
    msg = "the server rejects an access token that it has just given out; nothing was changed: try again later"
    return ProtocolError(msg, request_id=reply.request_id)


@attrs.define(eq=False)
class _Following:
    """One walk along the record."""

    records: Records
    turn: Turn[Any]
    account: str
    create: bool
    erased: ErasedAnonymousIdError | None = None
    known: AnonymousId | None = None
    is_known_asked: bool = False
    claims: int = 0

    async def to_the_end(self) -> Found:
        record = await self.records.load(self.turn, self.account)
        for _ in range(MOST_CONFLICTS):
            try:
                return await self.step(record)
            except RecordChangedError as change:
                record = change.record
        raise fickle()

    def step(self, record: StoredIdentity | None) -> Awaitable[Found]:
        match record:
            case None:
                return self.nothing_stored()
            case StoredIdentity(secret=CreateKey() as key):
                return self.replay(record, key)
            case StoredIdentity(state="erasing", secret=AnonymousId() as anonymous_id):
                return self.erase(record, anonymous_id)
            case StoredIdentity(secret=secret):
                return self.log_in(record, cast("AnonymousId", secret))

    async def nothing_stored(self) -> Found:
        found = await self.known_to_partner(None)
        if found is not None or not self.create:
            return found or Found(erased=self.erased)
        if self.claims == MOST_CONFLICTS:
            msg = "one user after another was erased as soon as it was made; nothing is stored: try again later"
            raise ProtocolError(msg)
        self.claims += 1
        claim = StoredIdentity.pending(CreateKey.fresh())
        return await self.step(await self.records.claim(self.turn, self.account, claim))

    async def known_to_partner(self, record: StoredIdentity | None) -> Found | None:
        """Log in with the id that the partner keeps, in place of nothing or of a creation that never ended."""
        anonymous_id = await self.ask_known_id()
        if anonymous_id is None:
            return None
        try:
            session = await self.records.log_in(self.turn, anonymous_id, None)
        except ErasedAnonymousIdError as erased:
            self.erased, self.known = erased, None
            return None
        except UnknownAnonymousIdError:
            rejected = StoredIdentity(state="rejected", secret=anonymous_id, user_id=None)
            await self.records.replace(self.turn, self.account, record, rejected)
            raise
        active = StoredIdentity.active(anonymous_id, session.user.id)
        await self.records.replace(self.turn, self.account, record, active)
        return Found(session, self.erased)

    async def ask_known_id(self) -> AnonymousId | None:
        if self.records.known_id is None or self.is_known_asked:
            return self.known
        self.turn.doing = "asking known_id"
        ask, failure = self.records.known_id, StoreUnavailableError
        known = await foreign(ask, self.account, failure=failure, whose="known_id", may_raise=(ConfigurationError,))
        if known is not None and not isinstance(known, AnonymousId):
            kind = type(known).__name__
            del known  # the bare id, as likely as not: there are logs that show the locals of a traceback
            msg = f"known_id returned a {kind}: return AnonymousId(text), or None"
            raise ConfigurationError(msg)
        self.known, self.is_known_asked = known, True
        return known

    async def replay(self, record: StoredIdentity, key: CreateKey) -> Found:
        known = await self.known_to_partner(record)
        if known is not None:
            return known
        reply = await self.records.ask(self.turn, wire.create_user(key, deadline=self.turn.deadline))
        try:
            session = wire.read_creation(reply)
        except ErasedAnonymousIdError as erased:
            return await self.gone(record, erased)
        active = StoredIdentity.active(session.user.anonymous_id, session.user.id)
        await self.records.replace(self.turn, self.account, record, active)
        return Found(session, self.erased)

    async def log_in(self, record: StoredIdentity, anonymous_id: AnonymousId) -> Found:
        try:
            session = await self.records.log_in(self.turn, anonymous_id, record.user_id)
        except ErasedAnonymousIdError as erased:
            return await self.gone(record, erased)
        except UnknownAnonymousIdError:
            if record.state == "active":
                await self.records.replace(self.turn, self.account, record, record.turned("rejected"))
            raise
        if record.state == "rejected":
            active = StoredIdentity.active(anonymous_id, session.user.id)
            await self.records.replace(self.turn, self.account, record, active)
        return Found(session, self.erased)

    async def erase(self, record: StoredIdentity, anonymous_id: AnonymousId) -> Found:
        """Finish a reset. An id that the server does not know is kept: it may be asked at the wrong server."""
        try:
            await self.ask_to_erase(record, anonymous_id)
        except ErasedAnonymousIdError as erased:
            return await self.gone(record, erased)
        msg = f"the profile of {anonymous_id.masked} was erased by a reset: drop every copy of the id"
        return await self.gone(record, ErasedAnonymousIdError(msg, anonymous_id=anonymous_id))

    async def ask_to_erase(self, record: StoredIdentity, anonymous_id: AnonymousId) -> None:
        """Log in and erase. Where the fresh token is rejected, somebody else was faster: the next log-in says so."""
        for _ in range(2):
            session = await self.records.log_in(self.turn, anonymous_id, record.user_id)
            request = wire.erase_user(session.token, deadline=self.turn.deadline)
            reply = await self.records.ask(self.turn, request)
            try:
                return wire.read_erasure(reply)
            except wire.TokenRejectedError:
                continue
        raise rejected_afresh(reply)

    async def gone(self, record: StoredIdentity, erased: ErasedAnonymousIdError) -> Found:
        """Forget a user that exists no more; the partner may know another one, or a new one may be asked for."""
        self.erased = erased
        await self.records.forget(self.turn, self.account, record)
        return await self.nothing_stored() if self.create else Found(erased=erased)
