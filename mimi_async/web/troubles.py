"""What a page says when something fails: why, and what the person can do. No text of an error reaches a page."""

import math
from typing import Final, Literal

import attrs

from ..errors import (
    AnonymityViolationError,
    CredentialsRejectedError,
    ErasedAnonymousIdError,
    ForciblyLoggedOutError,
    InvalidInputError,
    MimiError,
    NotAuthenticatedError,
    NotStartedError,
    ServerBusyError,
    StoreCorruptError,
    UnknownAnonymousIdError,
    UnserviceableError,
    ViewsClosedError,
)

Way = Literal["retry", "anew", "prepare", "sign-in", "start-over", "leave"]
"""What can be done: try again, begin anew, the same after a look at the headphones, sign in, go on without the profile,
or nothing here."""

RETRY_SECONDS: Final = 5
"""After how many seconds a page tries again by itself, where the server named no time."""

_LONGEST_RETRY_SECONDS = 120


@attrs.frozen
class Trouble:
    """What is said.

    Attributes:
        name: Names the texts: "trouble.<name>.title" and "trouble.<name>.detail".
        status: The HTTP status.
        way: What can be done.
        retry_after: In how many seconds it is worth trying again, where it is.
    """

    name: str
    status: int
    way: Way
    retry_after: int | None = None


SIGNED_OUT: Final = Trouble("signed-out", 401, "sign-in")
CROSS_SITE: Final = Trouble("cross-site", 403, "leave")
NO_PAGE: Final = Trouble("no-page", 404, "leave")
NO_METHOD: Final = Trouble("no-page", 405, "leave")
TOO_LARGE: Final = Trouble("bad-request", 413, "leave")
NO_FORM: Final = Trouble("bad-request", 415, "leave")
BAD_REQUEST: Final = Trouble("bad-request", 400, "leave")
BROKEN: Final = Trouble("broken", 500, "leave")
WAITING: Final = Trouble("closed", 503, "retry", RETRY_SECONDS)
OTHER_TEST: Final = Trouble("other-test", 409, "anew")
BAD_TEST: Final = Trouble("bad-test", 422, "anew")
UNRELIABLE: Final = Trouble("unreliable", 422, "anew")
UNHEARD: Final = Trouble("unheard", 422, "prepare")
OTHER_PROFILE: Final = Trouble("other-profile", 409, "leave")

_VERDICTS: Final[tuple[tuple[type[MimiError] | tuple[type[MimiError], ...], Trouble], ...]] = (
    ((UnknownAnonymousIdError, ForciblyLoggedOutError), Trouble("rejected", 409, "start-over")),
    (StoreCorruptError, Trouble("damaged", 409, "start-over")),
    (ErasedAnonymousIdError, Trouble("erased", 410, "anew")),
    (NotAuthenticatedError, Trouble("no-profile", 409, "anew")),
    (InvalidInputError, Trouble("bad-input", 422, "anew")),
    (CredentialsRejectedError, Trouble("out-of-order", 503, "retry", 60)),
    (AnonymityViolationError, Trouble("out-of-order", 503, "retry", 60)),
    (UnserviceableError, Trouble("outdated", 503, "leave")),
    (NotStartedError, WAITING),
)


def trouble_of(error: MimiError) -> Trouble:
    """Return what is said of an error: of its cause, where it is a shut gate."""
    if isinstance(error, ViewsClosedError) and isinstance(error.__cause__, MimiError):
        error = error.__cause__
    for kind, trouble in _VERDICTS:
        if isinstance(error, kind):
            return trouble
    if isinstance(error, ServerBusyError) and error.retry_after is not None:
        return attrs.evolve(WAITING, retry_after=min(max(math.ceil(error.retry_after), 1), _LONGEST_RETRY_SECONDS))
    return WAITING if error.retryable else BROKEN
