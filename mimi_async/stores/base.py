"""The interface of a store: four verbs on one record for each account."""

import abc
import hashlib
import math
import re
import secrets
import time
from collections.abc import AsyncIterator
from typing import Final, Literal, Self, cast, get_args

import attrs

from ..builtin_types import as_builtin, as_str
from ..errors import ConfigurationError, InvalidInputError
from ..secret import AnonymousId, CreateKey, SealedSecret

State = Literal["pending", "active", "rejected", "erasing"]

REVISION_BYTES: Final = 16

SEALED: Final = "sealed:"
"""The prefix of a sealed secret, by which a store knows it when it reads it."""


@attrs.frozen(kw_only=True)
class StoredIdentity:
    """The record of an account. Its state decides what the next operation does.

    Attributes:
        state: "pending": a creation was begun under the key, replay it · "active": log in with the id · "rejected":
            the server did not know the id, try it again · "erasing": a reset was begun, finish it.
        secret: The create key while pending, else the anonymousId; or either of them sealed, beneath a `SealedStore`.
        user_id: The server's id of the user; None while pending, or before the first log-in.
        revision: 128 random bits, new at each write: compare-and-swap compares nothing else.
        changed_at: When the record was written, in seconds since the epoch.

    Raises:
        InvalidInputError: A field has a wrong shape, so that no store could read the record again. Nothing is quoted.
    """

    state: State
    secret: CreateKey | AnonymousId | SealedSecret
    user_id: str | None
    revision: bytes = attrs.field(factory=lambda: secrets.token_bytes(REVISION_BYTES))
    changed_at: float = attrs.field(factory=time.time)

    def __attrs_post_init__(self) -> None:
        for name in ("state", "user_id", "revision", "changed_at"):
            given = getattr(self, name)
            exact = as_builtin(given)
            if exact is not given:
                object.__setattr__(self, name, exact)
        flaw = self._find_flaw()
        if flaw is not None:
            msg = f"the record of an identity is not valid: {flaw}"
            raise InvalidInputError(msg)

    def _find_flaw(self) -> str | None:
        if type(self.state) is not str or self.state not in _STATES:
            return "its state is unknown"
        kind = CreateKey if self.state == "pending" else AnonymousId
        if type(self.secret) not in (kind, SealedSecret):
            return f"a record that is {self.state} holds {kind.__name__}, not {type(self.secret).__name__}"
        if isinstance(self.secret, SealedSecret) and not _SEALED_SHAPE.fullmatch(self.secret.reveal()):
            return f"a sealed secret is printable ASCII and begins with {SEALED!r}"
        if isinstance(self.secret, CreateKey) and _KEY_SHAPE.fullmatch(self.secret.reveal()) is None:
            return "a create key is 64 hex digits"
        is_user_id = type(self.user_id) is str and _USER_ID_SHAPE.fullmatch(self.user_id)
        if self.user_id is not None and (self.state == "pending" or not is_user_id):
            return "a user_id is 32 hex digits, and None while pending"
        if type(self.revision) is not bytes or len(self.revision) != REVISION_BYTES:
            return f"a revision is {REVISION_BYTES} bytes"
        if type(self.changed_at) is not float or not math.isfinite(self.changed_at):
            return "changed_at is a number of seconds"
        return None

    @classmethod
    def read(cls, state: object, secret: object, user_id: object, revision: object, changed_at: object) -> Self:
        """Return the record of the plain values that a store keeps; `secret` is the revealed text.

        Raises:
            InvalidInputError: The values are not valid. Nothing is quoted.
        """
        text = as_str(secret)
        if text is None:
            msg = "the record of an identity is not valid: its secret is not a text"
            raise InvalidInputError(msg)
        return cls(
            state=cast("State", state),
            secret=_read_secret(as_str(state), text),
            user_id=cast("str | None", user_id),
            revision=cast("bytes", revision),
            changed_at=cast("float", changed_at),
        )

    @classmethod
    def pending(cls, key: CreateKey) -> Self:
        """Return the record of a creation that begins."""
        return cls(state="pending", secret=key, user_id=None)

    @classmethod
    def active(cls, anonymous_id: AnonymousId, user_id: str) -> Self:
        """Return the record of a user that has logged in."""
        return cls(state="active", secret=anonymous_id, user_id=user_id)

    def with_state(self, state: State) -> Self:
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


@attrs.frozen
class DamagedIdentity:
    """A record that can't be read, to be moved to the quarantine by `IdentityStore.forget`.

    Attributes:
        revision: The value of `StoreCorruptError.revision`.
    """

    revision: bytes


@attrs.frozen
class Change:
    """A notice that another process may have changed a record. Read the record: a notice may be late, or repeated.

    Attributes:
        account_digest: The `account_digest` of the account; None: notices were missed, any record may have changed.
    """

    account_digest: bytes | None


def account_digest(account: str) -> bytes:
    """Return the first 16 bytes of the SHA-256 of an account's name: a notice of a change does not name the account."""
    return hashlib.sha256(account.encode()).digest()[:16]


def revision_of(record: StoredIdentity | DamagedIdentity | None) -> bytes | None:
    """Return the revision of a record, None for no record."""
    return None if record is None else record.revision


class IdentityStore(abc.ABC):
    """A store of one record for each account of the partner.

    An account is a text of 1 to 200 characters. A core passes it in Unicode NFC; a store compares it byte for byte, and
    refuses no form, so that a record of any form can be read and copied. Every change is durable when the verb returns,
    and a record that was not expected is never overwritten. A read that fails is an error, never "nothing stored".

    `async with` opens and closes the store; entries are counted, and the last exit closes. A core enters its store. A
    store belongs to one event loop of one process; used in a forked child it raises `ConfigurationError`.

    `mimi_async.testing.StoreContract` tests a partner's own subclass against these rules.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None

    @abc.abstractmethod
    async def load(self, account: str) -> StoredIdentity | None:
        """Return the record, None for no record.

        Raises:
            StoreUnavailableError: The store did not answer.
            StoreCorruptError: There is a record, and it can't be read.
        """

    @abc.abstractmethod
    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        """Write the record unless the account has one; return the record that is stored now. The first writer wins.

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
        """Delete what is stored if it has the revision of `expected`. A damaged record is quarantined instead.

        Returns:
            The record that is stored now: None, or what was found in place of `expected`.

        Raises:
            StoreUnavailableError: The store did not answer; whether the record was deleted is not known.
            StoreCorruptError: Another record is stored, and it can't be read; it was kept.
        """

    async def quarantine(self, account: str, expected: StoredIdentity) -> StoredIdentity | None:
        """Move what is stored to the quarantine, unchanged, if it has the revision of `expected`.

        It can be restored by hand. A record that this store can read may be damage to a store around it: a
        `SealedStore` that lacks a key.

        Returns:
            The record that is stored now: None, or what was found in place of `expected`.

        Raises:
            ConfigurationError: This store has no quarantine; the default. The record was kept.
            StoreUnavailableError: The store did not answer; whether the record was moved is not known.
            StoreCorruptError: There is a record, and it can't be read; it was kept.
        """
        del account, expected
        msg = f"a {type(self).__name__} can't quarantine a record: it has no quarantine(); the record was kept"
        raise ConfigurationError(msg)

    async def init(self) -> None:
        """Create what the store needs, where it is missing. The default enters the store, which creates files.

        Raises:
            ConfigurationError: It can't be created there.
            StoreUnavailableError: The store does not answer.
        """
        async with self:
            pass

    async def changes(self) -> AsyncIterator[Change]:
        """Yield the changes that other processes make; the changes of this store are left out.

        A core iterates it while it is entered. An iterator that ends at once means that the store has no change feed:
        the default. Else the first change is a `Change(None)`, as soon as the store listens, so that no change between
        a restore and that moment is missed; where the source is lost and found again, another `Change(None)` follows.
        """
        return
        yield

    async def accounts(self) -> AsyncIterator[str]:
        """Yield the accounts that have a record, damaged ones included: for copies, checks and rotations.

        An account that is claimed or forgotten during the iteration may be missing.

        Raises:
            ConfigurationError: This store can't list its accounts; the default.
            StoreUnavailableError: The store did not answer.
        """
        msg = f"a {type(self).__name__} can't list its accounts: it has no accounts()"
        raise ConfigurationError(msg)
        yield
