"""The interface of the storage of users, over any database.

The clients of a partner create and find users. A user is found by digests alone: of its create key and of its
anonymousId. Personal data belong to a random user id, which an erasure deletes.

A repository refuses by returning a `Refusal`, never by raising: an exception would roll back other calls that are
committed in the same transaction. It raises `StoreUnavailableError` where the database does not answer, and
`StoreCorruptError`.
"""

import datetime as dt
import enum
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs

from ...errors import ConfigurationError
from ...hearing.results import HearingTestResult
from ...identity import ClientCredentials
from ...secret import AnonymousId, ClientSecret, CreateKey
from ...wire.server_side import Profile
from ..keys import Keys

DEV_PARTNER: Final = "mimi-dev"
DEV_CLIENT: Final = ClientCredentials("mimi-dev", "mimi-dev-secret")
"""The client of a database that has no other client. Its secret is public."""

PAGE: Final = 50
"""The number of hearing tests on a page."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)


class Refusal(enum.Enum):
    """The reason why a repository refused a call."""

    CREDENTIALS = enum.auto()
    """No client has this id and this secret."""
    TOKEN = enum.auto()
    """There is no user with this user id, or it was erased."""
    UNKNOWN = enum.auto()
    """The partner has no user with this anonymousId."""
    ERASED = enum.auto()
    """The user was erased."""
    LIMITED = enum.auto()
    """A user would have to be created, and the limit of creations is reached."""
    CHANGED = enum.auto()
    """The user is not in the state that the change expects."""


@attrs.frozen(repr=False)
class UnverifiedClient:
    """A client's credentials from a request, not yet verified."""

    client_id: str
    secret_digest: bytes


@attrs.frozen(eq=False, repr=False)
class NewUser:
    """The user of a create key, and the values of its row where it is created.

    Attributes:
        create_digest: The digest of the create key, by which a replay finds the row.
        user_id: A fresh user id: a UUID of version 7 (RFC 9562), whose rows are neighbours, so that a creation touches
            one random page less. It contains the time of the creation, which an export contains as well.
        created_at: The time of the creation.
    """

    _keys: Keys
    _create_key: CreateKey
    create_digest: bytes
    user_id: str = attrs.field(factory=lambda: uuid7(time.time()))
    created_at: dt.datetime = attrs.field(factory=lambda: dt.datetime.now(dt.UTC))
    _ids: dict[str, AnonymousId] = attrs.field(factory=dict, init=False)

    def anonymous_id(self, partner: str) -> AnonymousId:
        """Return the anonymousId of the user, which is another one for each partner."""
        anonymous_id = self._ids.get(partner)
        if anonymous_id is None:  # the row and the reply need it: 8 µs once instead of twice
            anonymous_id = self._ids[partner] = self._keys.derive_id(self._create_key, partner)
        return anonymous_id

    def id_digest(self, partner: str) -> bytes:
        """Return the digest by which a log-in finds the user."""
        return self._keys.digest_id(self.anonymous_id(partner))


@attrs.frozen(repr=False)
class PartnerUser:
    """A user of a partner.

    Attributes:
        partner: The partner.
        profile: The data of the user.
        is_new: Whether this call created the user.
    """

    partner: str
    profile: Profile
    is_new: bool = False


@attrs.frozen(repr=False)
class Submission:
    """A hearing test that is stored.

    Attributes:
        test: The test.
        is_new: Whether this call stored it, and not an earlier submission.
        is_latest: Whether it is the last test that was received for this user.
    """

    test: HearingTestResult
    is_new: bool
    is_latest: bool


@attrs.frozen(repr=False)
class Page:
    """Hearing tests, the last received first, and the cursor of the next page, None on the last page."""

    tests: Sequence[HearingTestResult]
    next_cursor: str | None


@attrs.frozen(repr=False)
class Export:
    """All data of a user; each test with the time at which it was received."""

    profile: Profile
    created_at: dt.datetime
    tests: Sequence[tuple[HearingTestResult, dt.datetime]]


class UserRepository(Protocol):
    """The storage of clients and users. Each method is one transaction, and its change is durable when it returns.

    Any number of processes may use one database at the same time: unique constraints decide, and no write depends on a
    read of an earlier transaction.
    """

    async def open(self) -> None:
        """Open the database."""

    async def close(self) -> None:
        """Close the database after the calls in flight."""

    async def ping(self) -> None:
        """Check that the database answers."""

    async def check_values(self) -> Mapping[str, bytes]:
        """Return the check values of the keys of this database; none if it is new."""

    async def keep_check_values(self, values: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Write the check values unless the database has some; return those that are stored now."""

    async def clients(self) -> Sequence[str]:
        """Return the ids of all clients."""

    async def add_first_client(self, partner: str, client_id: str, secret_digest: bytes) -> bool:
        """Add a client if the database has none; return whether it was added."""

    async def add_client(self, partner: str, client_id: str, secret_digest: bytes) -> bool:
        """Add a client, and remove `DEV_CLIENT`. Return False, with nothing changed, if the id is taken."""

    async def create(self, client: UnverifiedClient, new_user: NewUser, *, may_make: bool) -> PartnerUser | Refusal:
        """Create the user of a create key, or return the user that it created before.

        Refused as CREDENTIALS, ERASED, or LIMITED where `may_make` is False and the user does not exist.
        """

    async def find(self, client: UnverifiedClient, id_digest: bytes) -> PartnerUser | Refusal:
        """Return the user of an anonymousId. Refused as CREDENTIALS, UNKNOWN, ERASED."""

    async def read(self, user_id: str) -> Profile | Refusal:
        """Return a user. Refused as TOKEN."""

    async def change(
        self, user_id: str, changes: Mapping[str, Any], is_expected: Callable[[Profile], bool] | None = None
    ) -> Profile | Refusal:
        """Set `year_of_birth`, `sex` or both; return the user.

        Refused as TOKEN, or CHANGED where `is_expected` returns False for the stored user, unless it already has the
        new values: then an earlier attempt has set them, and its answer was lost.
        """

    async def erase(self, user_id: str) -> Refusal | None:
        """Erase all data of a user except the digests of its id and its create key. Refused as TOKEN."""

    async def export(self, user_id: str) -> Export | Refusal:
        """Return all data of a user. Refused as TOKEN."""

    async def add_test(
        self, user_id: str, key_digest: bytes, test: HearingTestResult, now: int
    ) -> Submission | Refusal:
        """Store a hearing test, or return the test that was submitted with this key before. Refused as TOKEN.

        The tests of a user are ordered by the time of receipt, not by the time of the client: each test is after the
        stored ones, also where the clock of the server was set back.

        Args:
            user_id: The user.
            key_digest: The digest of the idempotency key, by which a replay finds the test.
            test: The test with a fresh id.
            now: The time of the server's clock, in microseconds since the epoch.
        """

    async def delete_test(self, user_id: str, test_id: str) -> Refusal | None:
        """Delete a hearing test, if the user has one with this id. Refused as TOKEN."""

    async def tests(self, user_id: str, cursor: str | None) -> Page | Refusal:
        """Return a page of hearing tests from a cursor, of the shape `contract.CURSOR_PATTERN`. Refused as TOKEN."""


def is_applied(changes: Mapping[str, Any], profile: Profile) -> bool:
    """Return whether a user already has the new values (RFC 9110, 13.1.1); False without values."""
    return bool(changes) and all(getattr(profile, name) == value for name, value in changes.items())


def uuid7(now: float) -> str:
    """Return a UUID of version 7 (RFC 9562, 5.7) of a time in seconds since the epoch, as 32 hex digits."""
    noise = secrets.randbits(74)
    return f"{int(now * 1000) << 80 | 0x7 << 76 | noise >> 62 << 64 | 0b10 << 62 | noise & (1 << 62) - 1:032x}"


def is_name(text: str) -> bool:
    """Return whether a text is a valid name of a partner or a client."""
    return _NAME.fullmatch(text) is not None


def check_names(partner: str, client_id: str) -> None:
    """Refuse names that could be names of persons, and the name of `DEV_CLIENT`.

    Raises:
        ConfigurationError: A name is refused.
    """
    for name in (partner, client_id):
        if not is_name(name) or name == DEV_PARTNER:
            msg = (
                "a partner and a client are named by 1 to 64 characters of a-z, 0-9, '.', '_', '-', "
                f"not beginning with a mark, and not {DEV_PARTNER!r}"
            )
            raise ConfigurationError(msg)


def new_client(keys: Keys, partner: str, client_id: str) -> tuple[ClientCredentials, bytes]:
    """Return credentials with a fresh secret of 256 random bits, and the digest of it that is stored.

    Raises:
        ConfigurationError: `check_names` refuses a name.
    """
    check_names(partner, client_id)
    secret = ClientSecret(secrets.token_hex(32))
    return ClientCredentials(client_id, secret), keys.digest_client_secret(secret)
