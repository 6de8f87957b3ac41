"""What the storage of users does, whatever database is under it.

A partner's clients make and find users. A user is found by digests alone: of its create key and of its anonymousId.
What is personal hangs on a random user id, which an erasure takes away for ever.

A book refuses by returning a `Refusal`, never by raising: an exception would undo the work of others that is committed
with it. It raises `StoreUnavailableError` where the database does not answer, and `StoreCorruptError`.
"""

import datetime as dt
import enum
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import attrs

from ..errors import ConfigurationError
from ..hearing.results import HearingTestResult
from ..identity import AnonymousId, ClientCredentials, ClientSecret, CreateKey
from ..wire.service import Profile
from .keys import Keys

DEV_PARTNER: Final = "mimi-dev"
DEV_CLIENT: Final = ClientCredentials("mimi-dev", "mimi-dev-secret")
"""The client of a database that has no other. Its secret is known to everybody."""

PAGE: Final = 50
"""How many hearing tests a page holds."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)


class Refusal(enum.Enum):
    """Why a book did not do what it was asked."""

    CREDENTIALS = enum.auto()
    """No client has this id and this secret."""
    TOKEN = enum.auto()
    """There is no user of this user id, or no longer."""
    UNKNOWN = enum.auto()
    """The partner has no user of this anonymousId."""
    ERASED = enum.auto()
    """The user was erased."""
    LIMITED = enum.auto()
    """A user would have to be made, and must not now."""
    CURSOR = enum.auto()
    """The user has no hearing test of this id."""


@attrs.frozen(repr=False)
class Caller:
    """A client that asks, not yet believed."""

    client_id: str
    secret_digest: bytes


@attrs.define(eq=False, repr=False)
class Candidate:
    """The user that a create key stands for, and what a new row of it would hold.

    Attributes:
        create_digest: What the row is known again by.
        user_id: A fresh user id, for a row that is new: a UUID of version 7 (RFC 9562), whose rows are neighbours, so
            that a creation touches one random page less. It tells when the user was made, as an export does.
        created_at: When, for a row that is new.
    """

    _keys: Keys
    _create_key: CreateKey
    create_digest: bytes
    user_id: str = attrs.field(factory=lambda: uuid7(time.time()))
    created_at: dt.datetime = attrs.field(factory=lambda: dt.datetime.now(dt.UTC))
    _ids: dict[str, AnonymousId] = attrs.field(factory=dict, init=False)

    def anonymous_id(self, partner: str) -> AnonymousId:
        """Return the user's id, which differs from partner to partner."""
        an_id = self._ids.get(partner)
        if an_id is None:
            an_id = self._ids[partner] = self._keys.anonymous_id(self._create_key, partner)
        return an_id

    def id_digest(self, partner: str) -> bytes:
        """Return what the user is found by at log-in."""
        return self._keys.id_digest(self.anonymous_id(partner))


@attrs.frozen(repr=False)
class Member:
    """A user of a partner, as a client of that partner meets it.

    Attributes:
        partner: Whose user it is.
        profile: What is held about it.
        is_new: Whether it was made just now.
    """

    partner: str
    profile: Profile
    is_new: bool = False


@attrs.frozen(repr=False)
class Submission:
    """A hearing test that is kept, and whether it is new or known from an earlier submission."""

    test: HearingTestResult
    is_new: bool


@attrs.frozen(repr=False)
class Page:
    """Hearing tests, newest first, and the id of the last one if more follow."""

    tests: Sequence[HearingTestResult]
    next_cursor: str | None


@attrs.frozen(repr=False)
class Export:
    """Everything that is held about a user."""

    profile: Profile
    created_at: dt.datetime
    tests: Sequence[HearingTestResult]


class UserBook(Protocol):
    """Keeps clients and users. Every change is durable when its verb returns, and each verb is one transaction.

    Any number of processes may use one database at the same time: unique constraints decide, and nothing is asked
    first and written afterwards.
    """

    async def open(self) -> None:
        """Open the database."""

    async def close(self) -> None:
        """Close it, after what was asked for."""

    async def ping(self) -> None:
        """Ask the database something."""

    async def check_values(self) -> Mapping[str, bytes]:
        """Return the check values of the keys that this database belongs to; none if it is new."""

    async def keep_check_values(self, values: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Write the check values unless there are some; return those that are kept now."""

    async def clients(self) -> Sequence[str]:
        """Return the ids of all clients."""

    async def add_first_client(self, partner: str, client_id: str, secret_digest: bytes) -> bool:
        """Add a client if there is none; tell whether it was added."""

    async def add_client(self, partner: str, client_id: str, secret_digest: bytes) -> bool:
        """Add a client, and remove `DEV_CLIENT`. False, with nothing changed, if the id is taken."""

    async def create(self, caller: Caller, candidate: Candidate, *, may_make: bool) -> Member | Refusal:
        """Make the user of a create key, or return the one that it made before.

        Refused as CREDENTIALS, ERASED, or LIMITED where `may_make` is False and there is none.
        """

    async def find(self, caller: Caller, id_digest: bytes) -> Member | Refusal:
        """Return the partner's user of an anonymousId. Refused as CREDENTIALS, UNKNOWN, ERASED."""

    async def read(self, user_id: str) -> Profile | Refusal:
        """Return a user. Refused as TOKEN."""

    async def change(self, user_id: str, changes: Mapping[str, Any]) -> Profile | Refusal:
        """Set `year_of_birth`, `sex` or both; return the user. Refused as TOKEN."""

    async def erase(self, user_id: str) -> Refusal | None:
        """Erase everything about a user but the digests of its id and its create key. Refused as TOKEN."""

    async def export(self, user_id: str) -> Export | Refusal:
        """Return everything about a user. Refused as TOKEN."""

    async def add_test(self, user_id: str, key_digest: bytes, test: HearingTestResult) -> Submission | Refusal:
        """Keep a hearing test, or return the one that came with this key before. Refused as TOKEN.

        Args:
            user_id: Whose test it is.
            key_digest: What the submission is known again by.
            test: The test with a fresh id.
        """

    async def tests(self, user_id: str, cursor: str | None) -> Page | Refusal:
        """Return the hearing tests after the one with the id `cursor`. Refused as TOKEN, CURSOR."""


def uuid7(now: float) -> str:
    """Return a UUID of version 7 (RFC 9562, 5.7) of a moment in seconds since the epoch, as 32 hex digits."""
    noise = secrets.randbits(74)
    return f"{int(now * 1000) << 80 | 0x7 << 76 | noise >> 62 << 64 | 0b10 << 62 | noise & (1 << 62) - 1:032x}"


def is_name(text: str) -> bool:
    """Tell whether a text has the shape that partners and clients are named by."""
    return _NAME.fullmatch(text) is not None


def check_names(partner: str, client_id: str) -> None:
    """Refuse names that could be those of persons, or that are those of `DEV_CLIENT`.

    Raises:
        ConfigurationError: One of them has another shape.
    """
    for name in (partner, client_id):
        if not is_name(name) or name == DEV_PARTNER:
            msg = (
                "a partner and a client are named by 1 to 64 characters of a-z, 0-9, '.', '_', '-', "
                f"not beginning with a mark, and not {DEV_PARTNER!r}"
            )
            raise ConfigurationError(msg)


def new_client(keys: Keys, partner: str, client_id: str) -> tuple[ClientCredentials, bytes]:
    """Return credentials with a fresh secret of 256 random bits, and the digest that a book keeps of it.

    Raises:
        ConfigurationError: `check_names` refuses a name.
    """
    check_names(partner, client_id)
    secret = ClientSecret(secrets.token_hex(32))
    return ClientCredentials(client_id, secret), keys.client_digest(secret)
