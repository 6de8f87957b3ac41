"""Who: the client that asks, the id that is kept, and the user it stands for.

An anonymous user has no name, but its id opens a hearing profile: it is a secret like a password. Secrets here are
types of their own, that can neither leak into a log nor be saved masked by mistake.
"""

import hmac
import os
import re
import time
from typing import Any, Final, Literal, NoReturn, Self, cast, get_args

import attrs

from .errors import ConfigurationError, InvalidAnonymousIdError, InvalidInputError
from .hearing.results import HearingTestResult

Sex = Literal["female", "male", "intersex"]

EARLIEST_YEAR_OF_BIRTH: Final = 1900
ADULT_AGE: Final = 18


class Secret:
    """A text that must not be seen.

    `repr()` is masked; `str()`, `format()` and pickling raise TypeError, so that nothing is shown or saved by accident.
    Secrets of one kind are compared in constant time; copying returns the same object.
    """

    __slots__ = ("_text",)
    _text: str

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_text", text)

    def reveal(self) -> str:
        """Return the text itself: to send it or to store it, never to show it."""
        return self._text

    @property
    def masked(self) -> str:
        """A form fit for logs and messages."""
        return "…"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        msg = f"{type(self).__name__} is immutable"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> NoReturn:
        self.__setattr__(name, None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.masked})"

    def __str__(self) -> str:
        msg = f"{type(self).__name__} is a secret: call .reveal() to store it, .masked to show it"
        raise TypeError(msg)

    def __format__(self, spec: str) -> str:
        return str(self)

    def __reduce_ex__(self, protocol: object) -> str | tuple[Any, ...]:
        return str(self)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret) or type(other) is not type(self):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash((type(self), self._text))


class ClientSecret(Secret):
    """The secret of a product of a partner."""

    __slots__ = ()


class CreateKey(Secret):
    """The idempotency key of a creation: who replays it gets the same user. 64 hex digits."""

    __slots__ = ()

    @classmethod
    def fresh(cls) -> Self:
        """Return a new key of 256 random bits."""
        return cls(os.urandom(32).hex())


class SealedSecret(Secret):
    """A create key or an anonymousId that a `SealedStore` has encrypted: only that store can read it."""

    __slots__ = ()


class AccessToken(Secret):
    """A short-lived bearer token (RFC 6750)."""

    __slots__ = ()


_ID_SHAPE = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", re.ASCII)


class AnonymousId(Secret):
    """The anonymousId of the guide: the one long-lived credential of an anonymous user.

    Args:
        text: 36 characters, hex digits in 8-4-4-4-12; lower-cased.

    Raises:
        InvalidAnonymousIdError: The text has another shape. It is not quoted.
    """

    __slots__ = ()

    def __init__(self, text: str) -> None:
        if not isinstance(text, str) or _ID_SHAPE.fullmatch(text) is None:
            kind = f"{len(text)} characters" if isinstance(text, str) else f"a {type(text).__name__}"
            msg = f"an anonymousId is 36 characters, hex digits in 8-4-4-4-12; this is {kind} of another shape"
            raise InvalidAnonymousIdError(msg)
        super().__init__(text.lower())

    @property
    def masked(self) -> str:
        """The first four digits: enough to tell two ids apart in a log."""
        return f"{self._text[:4]}…"


def _client_id(text: str) -> str:
    if not isinstance(text, str) or not text or ":" in text or not text.isprintable():
        msg = "a client id is a printable text without a colon (RFC 7617), such as 'acme-player'"
        raise ConfigurationError(msg)
    return text


def _client_secret(secret: str | ClientSecret) -> ClientSecret:
    if isinstance(secret, ClientSecret):
        return secret
    if not isinstance(secret, str) or not secret or not secret.isprintable():
        msg = "a client secret is a printable text, as `mimi-async clients add` printed it"
        raise ConfigurationError(msg)
    return ClientSecret(secret)


@attrs.frozen
class ClientCredentials:
    """The client id and the client secret of one product of a partner.

    Raises:
        ConfigurationError: One of them is empty or can't be sent by HTTP Basic.
    """

    client_id: str = attrs.field(converter=_client_id)
    secret: ClientSecret = attrs.field(converter=_client_secret)

    @classmethod
    def from_env(cls) -> Self:
        """Read MIMI_CLIENT_ID and MIMI_CLIENT_SECRET.

        Raises:
            ConfigurationError: One of the two is not set.
        """
        for name in ("MIMI_CLIENT_ID", "MIMI_CLIENT_SECRET"):
            if not os.environ.get(name):
                msg = f"set {name}: the client credentials are read from MIMI_CLIENT_ID and MIMI_CLIENT_SECRET"
                raise ConfigurationError(msg)
        return cls(os.environ["MIMI_CLIENT_ID"], os.environ["MIMI_CLIENT_SECRET"])


@attrs.frozen(kw_only=True)
class MimiUser:
    """An anonymous user as the server last told it. Personal health data, though no name is on it.

    Attributes:
        id: The server's name for the user, 32 hex digits. No secret: it opens nothing.
        anonymous_id: The credential to keep.
        year_of_birth: None where the person did not say.
        sex: "female", "male", "intersex", or None where the person did not say.
        latest_hearing_test: The newest test by `taken_at`, or None.
    """

    id: str
    anonymous_id: AnonymousId
    year_of_birth: int | None = attrs.field(default=None, repr=False)
    sex: Sex | None = attrs.field(default=None, repr=False)
    latest_hearing_test: HearingTestResult | None = attrs.field(default=None, repr=False)

    @property
    def is_anonymous(self) -> Literal[True]:
        """Always true: an anonymous user can never become a named one (guide, introduction)."""
        return True

    @property
    def is_onboarded(self) -> bool:
        """Whether a year of birth or a hearing test is known, so that a profile skips the introduction."""
        return self.year_of_birth is not None or self.latest_hearing_test is not None

    @property
    def age(self) -> int | None:
        """Full years reached by the end of this UTC year, or None without a year of birth."""
        return None if self.year_of_birth is None else this_year() - self.year_of_birth


def this_year() -> int:
    """The current year in UTC."""
    return time.gmtime().tm_year


def checked_year_of_birth(year: object) -> int | None:
    """Return the year if an adult may have been born in it (MimiSDK for iOS 11.4: 18 or older), None for None.

    Raises:
        InvalidInputError: It is no whole number, before 1900, or less than 18 years ago.
    """
    latest = this_year() - ADULT_AGE
    if year is None:
        return None
    if not isinstance(year, int) or isinstance(year, bool) or not EARLIEST_YEAR_OF_BIRTH <= year <= latest:
        msg = f"a year of birth is a whole number from {EARLIEST_YEAR_OF_BIRTH} to {latest}: users are 18 or older"
        raise InvalidInputError(msg)
    return year


def checked_sex(sex: object) -> Sex | None:
    """Return the sex if it is one the server keeps, None for None.

    Raises:
        InvalidInputError: It is something else.
    """
    if sex is None or sex in get_args(Sex):
        return cast("Sex | None", sex)
    msg = f"sex is one of {', '.join(get_args(Sex))}, or None"
    raise InvalidInputError(msg)


def checked_account(account: object) -> str:
    """Return the partner's name for an account: 1 to 200 characters, no control characters, no surrogates.

    Raises:
        InvalidInputError: It is something else.
    """
    if isinstance(account, str) and 1 <= len(account) <= 200 and not _UNFIT.search(account):
        return account
    msg = "an account is a text of 1 to 200 characters without control characters and surrogates"
    raise InvalidInputError(msg)


_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
