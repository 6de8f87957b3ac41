"""What a store is: four verbs over one record for each account."""

import abc
import hashlib
import math
import re
import secrets
import time
from collections.abc import AsyncIterator
from typing import Final, Literal, Self, cast, get_args

import attrs

from ..errors import ConfigurationError, InvalidInputError
from ..identity import AnonymousId, CreateKey, SealedSecret

State = Literal["pending", "active", "rejected", "erasing"]

REVISION_BYTES: Final = 16

SEALED: Final = "sealed:"
"""How the text of a sealed secret begins, so that a store reads it back as one."""


@attrs.frozen(kw_only=True)
class StoredIdentity:
    """The record of an account. Its state says what to do next.

    Attributes:
        state: "pending": a creation was begun under the key, replay it · "active": log in with the id · "rejected":
            the server knew no user by the id, try it again · "erasing": a reset was begun, finish it.
        secret: The create key while pending, else the anonymousId; or either of them sealed, beneath a `SealedStore`.
        user_id: The server's name for the user; None while pending, or where no log-in has told it.
        revision: 128 random bits, new at each write: the only thing that compare-and-set compares.
        changed_at: When it was written, in seconds since the epoch.

    Raises:
        InvalidInputError: A field has not its shape, so that no store could read the record again. Nothing is quoted.
    """

    state: State
    secret: CreateKey | AnonymousId | SealedSecret
    user_id: str | None
    revision: bytes = attrs.field(factory=lambda: secrets.token_bytes(REVISION_BYTES))
    changed_at: float = attrs.field(factory=time.time)

    def __attrs_post_init__(self) -> None:
        flaw = self._flaw()
        if flaw is not None:
            msg = f"this is no record of an identity: {flaw}"
            raise InvalidInputError(msg)

    def _flaw(self) -> str | None:
        if self.state not in _STATES:
            return "its state is unknown"
        kind = CreateKey if self.state == "pending" else AnonymousId
        if not isinstance(self.secret, (kind, SealedSecret)):
            return f"one that is {self.state} holds {kind.__name__}, not {type(self.secret).__name__}"
        if isinstance(self.secret, SealedSecret) and not _SEALED_SHAPE.fullmatch(self.secret.reveal()):
            return f"a sealed secret is printable ASCII and begins with {SEALED!r}"
        if isinstance(self.secret, CreateKey) and _KEY_SHAPE.fullmatch(self.secret.reveal()) is None:
            return "a create key is 64 hex digits"
        if self.user_id is not None and (self.state == "pending" or not _is_user_id(self.user_id)):
            return "a user_id is 32 hex digits, and None while pending"
        if not isinstance(self.revision, bytes) or len(self.revision) != REVISION_BYTES:
            return f"a revision is {REVISION_BYTES} bytes"
        if not isinstance(self.changed_at, float) or not math.isfinite(self.changed_at):
            return "changed_at is a number of seconds"
        return None

    @classmethod
    def read(cls, state: object, secret: object, user_id: object, revision: object, changed_at: object) -> Self:
        """Return the record made of the plain values that a store keeps, `secret` being the revealed text.

        Raises:
            InvalidInputError: They make no record. Nothing is quoted.
        """
        if not isinstance(secret, str):
            msg = "this is no record of an identity: its secret is no text"
            raise InvalidInputError(msg)
        return cls(
            state=cast("State", state),
            secret=_read_secret(state, secret),
            user_id=cast("str | None", user_id),
            revision=cast("bytes", revision),
            changed_at=cast("float", changed_at),
        )

    @classmethod
    def pending(cls, key: CreateKey) -> Self:
        """Return a record of a creation that begins."""
        return cls(state="pending", secret=key, user_id=None)

    @classmethod
    def active(cls, anonymous_id: AnonymousId, user_id: str) -> Self:
        """Return a record of a user that has logged in."""
        return cls(state="active", secret=anonymous_id, user_id=user_id)

    def turned(self, state: State) -> Self:
        """Return a new record of the same user in another state."""
        return type(self)(state=state, secret=self.secret, user_id=self.user_id)

    @property
    def anonymous_id(self) -> AnonymousId | None:
        """The id, or None while pending."""
        return self.secret if isinstance(self.secret, AnonymousId) else None


def _read_secret(state: object, text: str) -> CreateKey | AnonymousId | SealedSecret:
    if text.startswith(SEALED):
        return SealedSecret(text)
    return CreateKey(text) if state == "pending" else AnonymousId(text)


_STATES = frozenset(get_args(State))
_KEY_SHAPE = re.compile("[0-9a-f]{64}", re.ASCII)
_SEALED_SHAPE = re.compile(f"{SEALED}[ -~]*")
_USER_ID_SHAPE = re.compile("[0-9a-f]{32}", re.ASCII)


def _is_user_id(value: object) -> bool:
    return isinstance(value, str) and _USER_ID_SHAPE.fullmatch(value) is not None


@attrs.frozen
class DamagedIdentity:
    """A record that can't be read, to be moved aside by `IdentityStore.forget`.

    Attributes:
        revision: As `StoreCorruptError.revision` told it.
    """

    revision: bytes


@attrs.frozen
class Change:
    """News that others may have changed a record. What it says now is to be read: news may come late, or twice.

    Attributes:
        account_digest: Whose record, as `account_digest` tells it; None: news were missed, it may be anyone's.
    """

    account_digest: bytes | None


def account_digest(account: str) -> bytes:
    """Return the first 16 bytes of the SHA-256 of an account's name, so that news of its record need not name it."""
    return hashlib.sha256(account.encode()).digest()[:16]


class IdentityStore(abc.ABC):
    """Keeps one record for each account of the partner.

    An account is a text of 1 to 200 characters. Every change is durable when the verb returns, and nothing is ever
    written over what was not expected. A read that fails is an error, never "nothing stored".

    `async with` opens and closes it; entries are counted, and the last leaving closes. A core enters its store by
    itself. A store belongs to one event loop of one process; used in a forked child it raises `ConfigurationError`.

    A partner's own subclass is held to this by `mimi_async.testing.StoreContract`.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None

    @abc.abstractmethod
    async def load(self, account: str) -> StoredIdentity | None:
        """Return the record, None where there is none.

        Raises:
            StoreUnavailableError: The store did not answer.
            StoreCorruptError: There is a record, and it can't be read.
        """

    @abc.abstractmethod
    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        """Write the record unless there is one; return the one that is stored now. The first writer wins.

        Raises:
            StoreUnavailableError: The store did not answer; whether the record was written is not known.
            StoreCorruptError: There is a record, and it can't be read; it was kept.
        """

    @abc.abstractmethod
    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        """Write `new` if what is stored has the revision of `expected` (None: if nothing is stored).

        Returns:
            The record that is stored now: `new`, or what was found in place of `expected`, None for nothing.

        Raises:
            StoreUnavailableError: The store did not answer; whether the record was written is not known.
            StoreCorruptError: There is a record, and it can't be read; it was kept.
        """

    @abc.abstractmethod
    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        """Delete what is stored if it has the revision of `expected`. A damaged record is moved aside instead.

        Returns:
            The record that is stored now: None, or what was found in place of `expected`.

        Raises:
            StoreUnavailableError: The store did not answer; whether the record was deleted is not known.
            StoreCorruptError: Another record is stored, and it can't be read; it was kept.
        """

    async def set_aside(self, account: str, expected: StoredIdentity) -> StoredIdentity | None:
        """Move what is stored aside, as it is, if it has the revision of `expected`; it can be brought back by hand.

        What a store reads well may be damage to another one around it: a `SealedStore` that lacks a key.

        Returns:
            The record that is stored now: None, or what was found in place of `expected`.

        Raises:
            ConfigurationError: This store can't; the default. The record was kept.
            StoreUnavailableError: The store did not answer; whether the record was moved is not known.
            StoreCorruptError: There is a record, and it can't be read; it was kept.
        """
        del account, expected
        msg = f"a {type(self).__name__} can't set a record aside: it has no set_aside(); the record was kept"
        raise ConfigurationError(msg)

    async def init(self) -> None:
        """Make what the store needs, where it is missing. The default enters it, which makes files and folders.

        Raises:
            ConfigurationError: It can't be made there.
            StoreUnavailableError: The store does not answer.
        """
        async with self:
            pass

    async def changes(self) -> AsyncIterator[Change]:
        """Yield the news of changes that others make, for as long as it is iterated; own changes are left out.

        A core iterates it while it is entered. One that ends at once, without a change, has none: that is the default.
        Else it begins with a `Change(None)` as soon as it hears, so that nothing between a restore and that is missed;
        where the source of the news is lost, it is found again, and another one comes.
        """
        return
        yield

    async def accounts(self) -> AsyncIterator[str]:
        """Yield the accounts that have a record, damaged ones included: for copies, checks and rotations.

        One that is claimed or forgotten meanwhile may be missing.

        Raises:
            ConfigurationError: This store can't tell; the default.
            StoreUnavailableError: The store did not answer.
        """
        msg = f"a {type(self).__name__} can't list its accounts: it has no accounts()"
        raise ConfigurationError(msg)
        yield
