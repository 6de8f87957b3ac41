"""Client credentials, the anonymous user, and the validation of accounts and profile data."""

import os
import re
import time
import unicodedata
from typing import Final, Literal, Self, cast, get_args

import attrs

from .builtin_types import as_int, as_str
from .errors import ConfigurationError, InvalidInputError
from .hearing.results import HearingTestResult
from .secret import AnonymousId, ClientSecret, Secret

Sex = Literal["female", "male", "intersex"]

EARLIEST_YEAR_OF_BIRTH: Final = 1900
ADULT_AGE: Final = 18


def _validate_client_id(text: str) -> str:
    exact = as_str(text)
    if not exact or ":" in exact or not exact.isprintable():
        msg = "a client id is a printable text without a colon (RFC 7617), such as 'acme-player'"
        raise ConfigurationError(msg)
    return exact


def _validate_client_secret(secret: str | ClientSecret) -> ClientSecret:
    exact = secret.reveal() if type(secret) is ClientSecret else as_str(secret)
    if not exact or not exact.isprintable():
        msg = "a client secret is a printable text, as printed by `mimi-async clients add`"
        raise ConfigurationError(msg)
    return ClientSecret(exact)


@attrs.frozen
class ClientCredentials:
    """The client id and client secret of one product of a partner.

    Raises:
        ConfigurationError: One of them is empty or cannot be sent by HTTP Basic.
    """

    client_id: str = attrs.field(converter=_validate_client_id)
    secret: ClientSecret = attrs.field(converter=_validate_client_secret)

    @classmethod
    def from_env(cls) -> Self:
        """Read MIMI_CLIENT_ID and MIMI_CLIENT_SECRET.

        Raises:
            ConfigurationError: A variable is not set.
        """
        for name in ("MIMI_CLIENT_ID", "MIMI_CLIENT_SECRET"):
            if not os.environ.get(name):
                msg = f"set {name}: the client credentials are read from MIMI_CLIENT_ID and MIMI_CLIENT_SECRET"
                raise ConfigurationError(msg)
        return cls(os.environ["MIMI_CLIENT_ID"], os.environ["MIMI_CLIENT_SECRET"])


@attrs.frozen(kw_only=True)
class MimiUser:
    """An anonymous user, as in the last reply of the server. Personal health data, although it holds no name.

    Attributes:
        id: The server's id of the user, 32 hex digits. Not a secret: it gives no access.
        anonymous_id: The credential, which the host stores.
        year_of_birth: None if not given.
        sex: "female", "male", "intersex", or None if not given.
        latest_hearing_test: The test that the server received last, or None.
    """

    id: str
    anonymous_id: AnonymousId
    year_of_birth: int | None = attrs.field(default=None, repr=False)
    sex: Sex | None = attrs.field(default=None, repr=False)
    latest_hearing_test: HearingTestResult | None = attrs.field(default=None, repr=False)

    @property
    def is_anonymous(self) -> Literal[True]:
        """Always true: an anonymous user is never converted to a named one."""
        return True

    @property
    def is_onboarded(self) -> bool:
        """Whether the user has a year of birth or a hearing test, so that a profile skips the introduction."""
        return self.year_of_birth is not None or self.latest_hearing_test is not None

    @property
    def age(self) -> int | None:
        """Full years reached by the end of this UTC year, or None without a year of birth."""
        return None if self.year_of_birth is None else this_year() - self.year_of_birth


def this_year() -> int:
    """Return the current year in UTC."""
    return time.gmtime().tm_year


def validate_year_of_birth(year: object) -> int | None:
    """Return the year of birth of an adult (18 or older, as in MimiSDK for iOS 11.4), or None for None.

    Raises:
        InvalidInputError: The value is not an integer, is before 1900, or is less than 18 years ago.
    """
    latest = this_year() - ADULT_AGE
    if year is None:
        return None
    exact = as_int(year)
    if exact is None or not EARLIEST_YEAR_OF_BIRTH <= exact <= latest:
        msg = f"a year of birth is a whole number from {EARLIEST_YEAR_OF_BIRTH} to {latest}: users are 18 or older"
        raise InvalidInputError(msg)
    return exact


def validate_sex(sex: object) -> Sex | None:
    """Return a value of `Sex`, or None for None.

    Raises:
        InvalidInputError: The value is not one of `Sex`.
    """
    if sex is None:
        return None
    exact = as_str(sex)
    if exact in get_args(Sex):
        return cast("Sex", exact)
    msg = f"sex is one of {', '.join(get_args(Sex))}, or None"
    raise InvalidInputError(msg)


def validate_key(key: object) -> Secret:
    """Return the idempotency key of a hearing test as a plain `Secret`; a new key for None.

    Raises:
        InvalidInputError: The value is not a `Secret`.
    """
    if key is None:
        return Secret(os.urandom(16).hex())
    if issubclass(type(key), Secret):
        return Secret(Secret.reveal(cast("Secret", key)))
    msg = f"key is a Secret(text) of mimi_async.identity, or None, not a {type(key).__name__}"
    raise InvalidInputError(msg)


def validate_account(account: object) -> str:
    """Return the name of an account: 1 to 200 characters, no control characters, no surrogates, in Unicode NFC.

    A store compares accounts byte for byte, so two Unicode forms of one name would be two users.

    Raises:
        InvalidInputError: The value is not such a text.
    """
    text = as_str(account)
    if text is None or not 1 <= len(text) <= 200 or _FORBIDDEN.search(text):
        msg = "an account is a text of 1 to 200 characters without control characters and surrogates"
        raise InvalidInputError(msg)
    if not unicodedata.is_normalized("NFC", text):
        msg = (
            "the account is not in Unicode NFC, the form in which equal names are equal texts; nothing was stored: pass"
            " unicodedata.normalize('NFC', account)"
        )
        raise InvalidInputError(msg)
    return text


_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
