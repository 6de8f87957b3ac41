"""The error pages: a cause, a status, and what the person can do. No text of an exception reaches a page."""

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

NextStep = Literal["retry", "restart", "prepare", "sign-in", "start-over", "leave"]
"""What the person can do: send the request again, begin again, check the headphones and begin again, sign in, go on
without the profile, or leave the page."""

RETRY_SECONDS: Final = 5
"""After how many seconds a page sends its request again, where the server named no time."""

_MAX_RETRY_SECONDS = 120


@attrs.frozen
class ErrorPage:
    """What a page, or the script of the hearing test, shows for an error.

    Attributes:
        name: Names the texts: "error.<name>.title" and "error.<name>.detail".
        status: The HTTP status.
        next_step: What the person can do.
        retry_after: In how many seconds the page may be asked for again, or None.
    """

    name: str
    status: int
    next_step: NextStep
    retry_after: int | None = None


SIGNED_OUT: Final = ErrorPage("signed-out", 401, "sign-in")
CROSS_SITE: Final = ErrorPage("cross-site", 403, "leave")
NO_PAGE: Final = ErrorPage("no-page", 404, "leave")
NO_METHOD: Final = ErrorPage("no-page", 405, "leave")
TOO_LARGE: Final = ErrorPage("bad-request", 413, "leave")
NO_FORM: Final = ErrorPage("bad-request", 415, "leave")
BAD_REQUEST: Final = ErrorPage("bad-request", 400, "leave")
BROKEN: Final = ErrorPage("broken", 500, "leave")
CLOSED: Final = ErrorPage("closed", 503, "retry", RETRY_SECONDS)
OTHER_TEST: Final = ErrorPage("other-test", 409, "restart")
BAD_TEST: Final = ErrorPage("bad-test", 422, "restart")
UNRELIABLE: Final = ErrorPage("unreliable", 422, "restart")
UNHEARD: Final = ErrorPage("unheard", 422, "prepare")
OTHER_PROFILE: Final = ErrorPage("other-profile", 409, "leave")

_PAGES: Final[tuple[tuple[type[MimiError] | tuple[type[MimiError], ...], ErrorPage], ...]] = (
    ((UnknownAnonymousIdError, ForciblyLoggedOutError), ErrorPage("rejected", 409, "start-over")),
    (StoreCorruptError, ErrorPage("damaged", 409, "start-over")),
    (ErasedAnonymousIdError, ErrorPage("erased", 410, "restart")),
    (NotAuthenticatedError, ErrorPage("no-profile", 409, "restart")),
    (InvalidInputError, ErrorPage("bad-input", 422, "restart")),
    (CredentialsRejectedError, ErrorPage("out-of-order", 503, "retry", 60)),
    (AnonymityViolationError, ErrorPage("out-of-order", 503, "retry", 60)),
    (UnserviceableError, ErrorPage("outdated", 503, "leave")),
    (NotStartedError, CLOSED),
)


def error_page_for(error: MimiError) -> ErrorPage:
    """Return the page of an error; of its cause, where the error is a shut gate."""
    if isinstance(error, ViewsClosedError) and isinstance(error.__cause__, MimiError):
        error = error.__cause__
    for kind, page in _PAGES:
        if isinstance(error, kind):
            return page
    if isinstance(error, ServerBusyError) and error.retry_after is not None:
        return attrs.evolve(CLOSED, retry_after=min(max(math.ceil(error.retry_after), 1), _MAX_RETRY_SECONDS))
    return CLOSED if error.retryable else BROKEN
