"""How to become a user: the routes of the guide."""

import attrs

from ..errors import InvalidAnonymousIdError
from ..identity import AnonymousId


def _anonymous_id(value: object) -> AnonymousId:
    if isinstance(value, AnonymousId):
        return value
    msg = f"LogInAnonymously takes an AnonymousId, not a {type(value).__name__}: write AnonymousId(text)"
    raise InvalidAnonymousIdError(msg)


@attrs.frozen
class LogInAnonymously:
    """Log in as the user behind an id (guide: `.logInAnonymously(anonymousId:)`).

    Raises:
        InvalidAnonymousIdError: It is given something else than an `AnonymousId`.
    """

    anonymous_id: AnonymousId = attrs.field(converter=_anonymous_id)


@attrs.frozen
class Anonymously:
    """Become a new anonymous user."""


Route = LogInAnonymously | Anonymously
"""How to become a user. There is none with a name: an anonymous user can't become a named one."""
