"""Secrets: the anonymousId, the create key, the client secret, access tokens.

A secret has a type of its own, so that it does not appear in a log and is not stored in its masked form.
"""

import hmac
import os
import re
import uuid
import warnings
from typing import Any, NoReturn, Self

from .builtin_types import as_str
from .errors import InvalidAnonymousIdError, InvalidInputError


class Secret:
    """A text that is neither shown nor logged.

    `repr()` is masked; `str()`, `format()` and pickling raise TypeError. Secrets of one class are compared in constant
    time; a copy is the same object. The classes below are not subclassed further. A secret never equals a text, and
    such a comparison is a `UserWarning`, as `bytes == str` is a `BytesWarning`: an exception would break `value in (…)`
    in other code. Compare with `AnonymousId(text)` instead.

    Raises:
        InvalidInputError: The argument is not a text.
    """

    __slots__ = ("_text",)
    _text: str

    def __init_subclass__(cls) -> None:
        if cls.__base__ is not Secret:
            msg = f"{cls.__bases__[0].__name__} cannot be subclassed: a subclass could send and store another text"
            raise TypeError(msg)

    def __init__(self, text: str) -> None:
        exact = as_str(text)
        if exact is None:
            msg = f"{type(self).__name__} takes a text, not {type(text).__name__}"
            raise InvalidInputError(msg)
        object.__setattr__(self, "_text", exact)

    def reveal(self) -> str:
        """Return the text, to send or store it."""
        return self._text

    @property
    def masked(self) -> str:
        """A form for logs and messages."""
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
            if isinstance(other, (str, bytes, uuid.UUID)):
                name = type(self).__name__
                msg = f"{name} == {type(other).__name__} is never true: compare with {name}(text), or compare .reveal()"
                warnings.warn(msg, stacklevel=2)
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash((type(self), self._text))


class ClientSecret(Secret):
    """The secret of an OAuth client (RFC 6749): one product of a partner."""

    __slots__ = ()


class CreateKey(Secret):
    """The idempotency key of a creation, 64 hex digits. A replay with the same key returns the same user."""

    __slots__ = ()

    @classmethod
    def generate(cls) -> Self:
        """Return a new key of 256 random bits."""
        return cls(os.urandom(32).hex())


class SealedSecret(Secret):
    """A create key or an anonymousId, encrypted by a `SealedStore`."""

    __slots__ = ()


class AccessToken(Secret):
    """A short-lived bearer token (RFC 6750)."""

    __slots__ = ()


_ID_FORM = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", re.ASCII)


class AnonymousId(Secret):
    """The anonymousId: the long-lived credential of one anonymous user.

    Args:
        text: 36 characters, hex digits in groups of 8-4-4-4-12, converted to lower case.

    Raises:
        InvalidAnonymousIdError: The text has another form. The message does not quote it.
    """

    __slots__ = ()

    def __init__(self, text: str) -> None:
        exact = as_str(text)
        if exact is None or _ID_FORM.fullmatch(exact) is None:
            kind = f"a {type(text).__name__}" if exact is None else f"{len(exact)} characters"
            msg = f"an anonymousId is 36 characters, hex digits in 8-4-4-4-12; this is {kind} of another form"
            raise InvalidAnonymousIdError(msg)
        super().__init__(exact.lower())

    @property
    def masked(self) -> str:
        """The first four digits, which distinguish ids in a log."""
        return f"{self._text[:4]}…"
