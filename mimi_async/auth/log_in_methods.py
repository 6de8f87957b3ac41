"""The log-in methods: how an account gets its user."""

import attrs

from ..errors import InvalidAnonymousIdError
from ..secret import AnonymousId


def _anonymous_id(value: object) -> AnonymousId:
    if type(value) is AnonymousId:
        return value
    msg = f"LogInAnonymously takes an AnonymousId, not a {type(value).__name__}: write AnonymousId(text)"
    raise InvalidAnonymousIdError(msg)


@attrs.frozen
class LogInAnonymously:
    """Log in as the user behind an id (guide: `.logInAnonymously(anonymousId:)`).

    Raises:
        InvalidAnonymousIdError: The argument is not an `AnonymousId`.
    """

    anonymous_id: AnonymousId = attrs.field(converter=_anonymous_id)


@attrs.frozen
class Anonymously:
    """Create an anonymous user."""


LogInMethod = LogInAnonymously | Anonymously
"""How an account gets its user (guide: a route). None takes a name: an anonymous user can't become a named one."""
