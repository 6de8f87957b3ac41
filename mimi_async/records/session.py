"""The store, server and host calls of one operation on one account."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs

from .. import wire
from ..errors import ConfigurationError, MimiError, ServerUnreachableError, StoreConflictError, StoreUnavailableError
from ..operations.operation import Operation
from ..secret import AnonymousId, SealedSecret
from ..stores.base import DamagedIdentity, IdentityStore, StoredIdentity
from .host_calls import call_host, call_store

KnownId = Callable[[str], Awaitable[AnonymousId | None]]
"""The partner's own account service: account → the id that it keeps, or None."""

Drop = Callable[[AnonymousId | None], Awaitable[object]]
"""The host's own clean-up: removes the host's copy of the id; None where the id could not be read."""

Send = Callable[[wire.Request], Awaitable[wire.Reply]]
"""Carries a request to the server and returns the reply; raises a `ServerError` where there is none."""


_Record = TypeVar("_Record", bound=StoredIdentity | None)
_Answer = TypeVar("_Answer")

_RECORD_OR_NONE = (StoredIdentity, type(None))


class RecordChangedError(StoreConflictError):
    """Another process has changed the record: do what it says now.

    Attributes:
        record: The record that is stored now.
    """

    def __init__(self, record: StoredIdentity) -> None:
        super().__init__("another process has changed the record; nothing was written over it: try again")
        self.record = record


@attrs.frozen(eq=False)
class RecordSources:
    """Where the records of a core and the users behind them are.

    Attributes:
        send: Carries requests to the server.
        store: Keeps the records.
        known_id: Asked whenever the store holds no id, or None.
    """

    send: Send
    store: IdentityStore
    known_id: KnownId | None


@attrs.define(eq=False, repr=False)
class RecordSession:
    """The calls of one operation. A plain method returns the awaitable of the call, which saves a frame.

    Args:
        sources: The store, the server and `known_id`.
        account: The account whose record it reads and writes.
        operation: The operation, whose stage follows the calls.

    Attributes:
        is_unconfirmed: Whether a store write has ended without an answer, so that it may still be done.
    """

    _sources: RecordSources
    _account: str
    _operation: Operation[Any]
    is_unconfirmed: bool = False

    @property
    def deadline(self) -> float:
        """The loop time by which the operation must end."""
        return self._operation.deadline

    @property
    def has_known_id(self) -> bool:
        """Whether the host has given a `known_id`."""
        return self._sources.known_id is not None

    def ask(self, request: wire.Request) -> Awaitable[wire.Reply]:
        """Send a request to the server."""
        self._operation.stage = "asking the server"
        failure, returns = ServerUnreachableError, (wire.Reply,)
        return call_host(
            self._sources.send, request, failure=failure, name="send", may_raise=(MimiError,), returns=returns
        )

    async def log_in(self, anonymous_id: AnonymousId, user_id: str | None = None) -> wire.Session:
        """Ask the server for a session of the user behind an id."""
        reply = await self.ask(wire.log_in(anonymous_id, deadline=self.deadline))
        return wire.read_session(reply, anonymous_id, user_id=user_id)

    async def ask_known_id(self) -> AnonymousId | None:
        """Ask the host for the id that it keeps; None where it keeps none, or where there is no `known_id`."""
        known_id = self._sources.known_id
        if known_id is None:
            return None
        self._operation.stage = "asking known_id"
        failure, may_raise = StoreUnavailableError, (ConfigurationError,)
        known = await call_host(known_id, self._account, failure=failure, name="known_id", may_raise=may_raise)
        if known is not None and type(known) is not AnonymousId:
            kind = type(known).__name__
            del known  # it may be the id as plain text, and some logs show the locals of a traceback
            msg = f"known_id returned a {kind}: return AnonymousId(text), or None"
            raise ConfigurationError(msg)
        return known

    async def drop(self, drop: Drop, anonymous_id: AnonymousId | None) -> None:
        """Let the host remove its copy of an id, before the record is removed."""
        self._operation.stage = "calling drop"
        failure, may_raise = StoreUnavailableError, (ConfigurationError,)
        await call_host(drop, anonymous_id, failure=failure, name="drop", may_raise=may_raise)

    async def load(self) -> StoredIdentity | None:
        """Read the record."""
        self._operation.stage = "asking the store"
        return _reject_sealed(await call_store(self._sources.store.load, self._account, returns=_RECORD_OR_NONE))

    async def claim(self, record: StoredIdentity) -> StoredIdentity:
        """Write a record if there is none, and return the record that is stored now: the first writer wins."""
        write = call_store(self._sources.store.claim, self._account, record, returns=(StoredIdentity,))
        winner: StoredIdentity = await self._write(write)
        return _reject_sealed(winner)

    async def replace(self, expected: StoredIdentity | None, new: StoredIdentity) -> StoredIdentity:
        """Write a record in place of the expected one. A stored record of the same id and state is a success.

        Raises:
            RecordChangedError: Another record is stored.
            StoreConflictError: No record is stored, where one was expected.
        """
        write = call_store(self._sources.store.replace, self._account, expected, new, returns=_RECORD_OR_NONE)
        stored = _reject_sealed(await self._write(write))
        if stored is None:
            msg = "another process has removed the record; nothing was written in its place: try again"
            raise StoreConflictError(msg)
        if (stored.state, stored.secret) != (new.state, new.secret) and stored.revision != new.revision:
            raise RecordChangedError(stored)
        return stored

    async def forget(self, expected: StoredIdentity | DamagedIdentity) -> None:
        """Delete the expected record, or move a damaged one to quarantine.

        Raises:
            RecordChangedError: Another record is stored.
        """
        write = call_store(self._sources.store.forget, self._account, expected, returns=_RECORD_OR_NONE)
        found = _reject_sealed(await self._write(write))
        if found is not None:
            raise RecordChangedError(found)

    @contextmanager
    def unconfirmed(self) -> Iterator[None]:
        """Count the writes before as unconfirmed if the block raises, so that they are taken back."""
        self.is_unconfirmed = True
        yield
        self.is_unconfirmed = False

    def take_back(self) -> None:
        """Let the calls from now on outlive the deadline of the operation: they take back a write."""
        self._operation.ignores_deadline = True

    async def _write(self, write: Awaitable[_Answer]) -> _Answer:
        answer: _Answer
        try:
            answer = await self._operation.run_write(write)
        except (StoreUnavailableError, ConfigurationError, asyncio.CancelledError):
            self.is_unconfirmed = True
            raise
        return answer


def _reject_sealed(record: _Record) -> _Record:
    if record is not None and isinstance(record.secret, SealedSecret):
        msg = "the stored record is sealed, and was kept: give the core SealedStore(store, keys) around its store"
        raise ConfigurationError(msg)
    return record
