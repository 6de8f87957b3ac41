"""What a store is: four verbs over one record for each account."""

import abc
import secrets
import time
from typing import Literal, Self

import attrs

from ..errors import InvalidInputError
from ..identity import AnonymousId, CreateKey

State = Literal["pending", "active", "rejected", "erasing"]


@attrs.frozen(kw_only=True)
class StoredIdentity:
    """The record of an account. Its state says what to do next.

    Attributes:
        state: "pending": a creation was begun under the key, replay it · "active": log in with the id · "rejected":
            the server knew no user by the id, try it again · "erasing": a reset was begun, finish it.
        secret: The create key while pending, else the anonymousId.
        user_id: The server's name for the user; None while pending, or where no log-in has told it.
        revision: 128 random bits, new at each write: the only thing that compare-and-set compares.
        changed_at: When it was written, in seconds since the epoch.
    """

    state: State
    secret: CreateKey | AnonymousId
    user_id: str | None
    revision: bytes = attrs.field(factory=lambda: secrets.token_bytes(16))
    changed_at: float = attrs.field(factory=time.time)

    def __attrs_post_init__(self) -> None:
        kind = CreateKey if self.state == "pending" else AnonymousId
        if not isinstance(self.secret, kind):
            msg = f"a record that is {self.state} holds {kind.__name__}, not {type(self.secret).__name__}"
            raise InvalidInputError(msg)

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


@attrs.frozen
class DamagedIdentity:
    """A record that can't be read, to be moved aside by `IdentityStore.forget`.

    Attributes:
        revision: As `StoreCorruptError.revision` told it.
    """

    revision: bytes


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
