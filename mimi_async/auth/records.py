"""What is asked on behalf of turns: the store for the record of an account, and the server for sessions."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import attrs

from .. import wire
from ..errors import ConfigurationError, MimiError, ServerUnreachableError, StoreConflictError
from ..identity import AnonymousId, SealedSecret
from ..stores.base import DamagedIdentity, IdentityStore, StoredIdentity
from .foreign import foreign, of_the_store
from .turn import Turn

KnownId = Callable[[str], Awaitable[AnonymousId | None]]
"""The partner's own account service: account → the id that it keeps, or None."""

Send = Callable[[wire.Request], Awaitable[wire.Reply]]
"""Carries a request to the server and brings the reply; raises a `ServerError` where there is none."""


_Found = TypeVar("_Found", bound=StoredIdentity | None)

_RECORD_OR_NOTHING = (StoredIdentity, type(None))


class RecordChangedError(StoreConflictError):
    """Somebody else has changed the record meanwhile: follow what it says now.

    Attributes:
        record: What is stored now.
    """

    def __init__(self, record: StoredIdentity) -> None:
        super().__init__("the record was changed by somebody else meanwhile; nothing was written over it: try again")
        self.record = record


@attrs.frozen(eq=False)
class Records:
    """Asks the store, the server and known_id on behalf of turns; what only hands on an awaitable adds no frame.

    Attributes:
        send: Carries requests.
        store: Where the records are.
        known_id: Asked whenever the store holds no id, or None.
    """

    send: Send
    store: IdentityStore
    known_id: KnownId | None

    def ask(self, turn: Turn[Any], request: wire.Request) -> Awaitable[wire.Reply]:
        """Ask the server."""
        turn.doing = "asking the server"
        failure, gives = ServerUnreachableError, (wire.Reply,)
        return foreign(self.send, request, failure=failure, whose="send", may_raise=(MimiError,), gives=gives)

    async def load(self, turn: Turn[Any], account: str) -> StoredIdentity | None:
        """Read the record of an account."""
        turn.doing = "asking the store"
        return _unsealed(await of_the_store(self.store.load, account, gives=_RECORD_OR_NOTHING))

    async def claim(self, turn: Turn[Any], account: str, record: StoredIdentity) -> StoredIdentity:
        """Write a record where there is none; the first writer wins."""
        write = of_the_store(self.store.claim, account, record, gives=(StoredIdentity,))
        winner: StoredIdentity = await turn.keep(write)
        return _unsealed(winner)

    async def replace(
        self, turn: Turn[Any], account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity:
        """Write a record in place of the expected one; one that holds the same id in the same state is as good.

        Raises:
            StoreConflictError: Nothing is stored any more where a record was expected.
        """
        write = of_the_store(self.store.replace, account, expected, new, gives=_RECORD_OR_NOTHING)
        return _agreed(_unsealed(await turn.keep(write)), new)

    async def forget(self, turn: Turn[Any], account: str, expected: StoredIdentity | DamagedIdentity) -> None:
        """Delete the expected record, or move a damaged one aside."""
        write = of_the_store(self.store.forget, account, expected, gives=_RECORD_OR_NOTHING)
        found = _unsealed(await turn.keep(write))
        if found is not None:
            raise RecordChangedError(found)

    async def log_in(self, turn: Turn[Any], anonymous_id: AnonymousId, user_id: str | None) -> wire.Session:
        """Ask for a session of the user behind an id."""
        reply = await self.ask(turn, wire.log_in(anonymous_id, deadline=turn.deadline))
        return wire.read_session(reply, anonymous_id, user_id=user_id)


def _unsealed(found: _Found) -> _Found:
    if found is not None and isinstance(found.secret, SealedSecret):
        msg = "what is stored is sealed, and was kept: give the core SealedStore(store, keys) around its store"
        raise ConfigurationError(msg)
    return found


def _agreed(found: StoredIdentity | None, new: StoredIdentity) -> StoredIdentity:
    if found is None:
        msg = "the record was removed by somebody else meanwhile; nothing was written in its place: try again"
        raise StoreConflictError(msg)
    same = found.state == new.state and found.secret == new.secret
    if not same and found.revision != new.revision:
        raise RecordChangedError(found)
    return found
