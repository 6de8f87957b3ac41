"""What can go wrong, in one tree.

    MimiError
    ├── ConfigurationError         another event loop · a forked child · bad settings · a call from inside a turn
    │   ├── NotStartedError        before the core was entered, and after it was left
    │   └── AnonymousUserOnlyError a profile or launcher without allows_anonymous_user_only=True
    ├── InvalidInputError          (also ValueError) refused here, or by the server with 422
    │   └── InvalidAnonymousIdError
    ├── AuthenticationError        the server understood and said no
    │   ├── CredentialsRejectedError
    │   ├── UnknownAnonymousIdError
    │   ├── ErasedAnonymousIdError .anonymous_id
    │   ├── ForciblyLoggedOutError
    │   ├── AlreadyAuthenticatedError
    │   └── NotAuthenticatedError
    ├── AnonymityViolationError    a reply that names a person
    ├── ServerError                no usable answer
    │   ├── ServerUnreachableError
    │   ├── ServerTimeoutError     (also TimeoutError)
    │   ├── ServerBusyError        .retry_after
    │   ├── InsecureServerError
    │   ├── ProtocolError
    │   └── UnserviceableError     latched
    ├── StoreError
    │   ├── StoreUnavailableError
    │   ├── StoreCorruptError      .revision
    │   └── StoreConflictError
    ├── NotRestoredError
    ├── ViewsClosedError           .__cause__ says why
    └── StartupError               .phase

No exception of aiohttp, tenacity, sqlite3 or msgspec reaches a caller, and no message here quotes a secret.
"""

import traceback
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

Phase = Literal["transport", "store", "restore"]
"""A step of the start-up, as `StartupError.phase` names it."""


class MimiError(Exception):
    """The root of every error that this library raises on purpose.

    Attributes:
        retryable: Whether the same call may succeed later, unchanged.
        request_id: The X-Request-ID under which the server logged the request, where one was made.
    """

    retryable: bool = False

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        super().__init__(message)
        self.request_id = request_id

    def again(self) -> Self:
        """Return a fresh exception with the same facts, for one more waiter of the same outcome.

        One exception object raised to many would grow its traceback with each of them and mix their contexts.
        """
        fresh = _rebuilt(type(self), self.args, self.__dict__)
        fresh.__cause__ = self.__cause__
        return fresh

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle without calling constructors, whose keyword arguments pickle can't know."""
        return _rebuilt, (type(self), self.args, self.__dict__)


_E = TypeVar("_E", bound=MimiError)


def _rebuilt(kind: type[_E], args: tuple[Any, ...], facts: dict[str, Any]) -> _E:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(facts)
    return error


class ConfigurationError(MimiError):
    """The library is used in a way that can't work; the message says what to change."""


class NotStartedError(ConfigurationError):
    """A call that needs the server or the store came before the core was entered, or after it was left."""


class AnonymousUserOnlyError(ConfigurationError):
    """A profile or launcher was configured without `allows_anonymous_user_only=True` (guide, step 4)."""


class InvalidInputError(MimiError, ValueError):
    """A value was refused, here or by the server (422); nothing was changed."""


class InvalidAnonymousIdError(InvalidInputError):
    """A text does not have the shape of an anonymousId. The message never quotes it."""


class AuthenticationError(MimiError):
    """The server understood the request and said no, or there is no user to act for."""


class CredentialsRejectedError(AuthenticationError):
    """The server does not know this client, or the client may not do this. The stored id was kept."""


class UnknownAnonymousIdError(AuthenticationError):
    """No user is known by this id. It was set aside, and nothing was made in its place.

    `AuthController.start_over` is the host's decision, and returns the id.
    """


class ErasedAnonymousIdError(AuthenticationError):
    """The person erased this profile, here or on another product: the host drops its copy of this id, and of no other.

    The account may have got a new id meanwhile, from another product: that one must stay.

    Attributes:
        anonymous_id: The `AnonymousId` that was erased; None where it was never known here. Left out when pickled.
    """

    def __init__(self, message: str, *, anonymous_id: Any = None, request_id: str | None = None) -> None:
        super().__init__(message, request_id=request_id)
        self.anonymous_id = anonymous_id

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.args, {**self.__dict__, "anonymous_id": None})


class ForciblyLoggedOutError(AuthenticationError):
    """The server no longer knows the user that was logged in. The host keeps its copy of the id."""


class AlreadyAuthenticatedError(AuthenticationError):
    """A new anonymous user was asked for while there is one; nobody was orphaned."""


class NotAuthenticatedError(AuthenticationError):
    """The call needs a user and there is none: `ensure_user()` makes one."""


class AnonymityViolationError(MimiError):
    """A reply named a person. It was refused: nothing was adopted and nothing was stored."""


class ServerError(MimiError):
    """The server gave no usable answer; what is stored was kept."""


class ServerUnreachableError(ServerError):
    """No connection: refused, reset, no such name, no route."""

    retryable = True


class ServerTimeoutError(ServerError, TimeoutError):
    """No answer in time."""

    retryable = True


class ServerBusyError(ServerError):
    """The server asks for patience: 408, 425, 429 or 5xx.

    Attributes:
        retry_after: Seconds to wait before the next try, where the server named them.
    """

    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, request_id: str | None = None) -> None:
        super().__init__(message, request_id=request_id)
        self.retry_after = retry_after


class InsecureServerError(ServerError):
    """The server's TLS certificate could not be verified. Never tried again within a call.

    A later call may succeed unchanged, once the certificate is mended.
    """

    retryable = True


class ProtocolError(ServerError):
    """The answer is no answer of ours: unreadable, redirected, a stranger's, or another exchange's or subject's."""

    retryable = True


class UnserviceableError(ServerError):
    """The server no longer supports this version of the SDK: the app must be updated.

    Latched: every later call raises it without a request, and every gate is shut.
    """


class StoreError(MimiError):
    """The store could not do what was asked. What it holds was never read as "no user"."""


class StoreUnavailableError(StoreError):
    """The store did not answer: locked, full, read-only, hanging, gone."""

    retryable = True


class StoreCorruptError(StoreError):
    """What the store holds can't be read. It was kept, untouched.

    Attributes:
        revision: The revision by which `forget` moves the damaged record aside; None where it is the whole
            store that can't be read.
    """

    def __init__(self, message: str, *, revision: bytes | None = None) -> None:
        super().__init__(message)
        self.revision = revision


class StoreConflictError(StoreError):
    """The record was changed by somebody else meanwhile. Nothing was written over it."""

    retryable = True


class NotRestoredError(MimiError):
    """It is not known yet whether there is a user. `.__cause__` says why, where a restore has failed."""

    retryable = True


class ViewsClosedError(MimiError):
    """The gate is shut: no view may run. `.__cause__` says why."""


class StartupError(MimiError):
    """The core could not start; what it had opened was closed. `.__cause__` says why.

    Attributes:
        phase: The step that failed: "transport", "store" or "restore".
        retryable: Whether a new core may start later, with the same settings: as its cause says.
    """

    def __init__(self, message: str, *, phase: Phase, retryable: bool = False) -> None:
        super().__init__(message)
        self.phase = phase
        self.retryable = retryable


def described(error: BaseException) -> str:
    """Say what went wrong in somebody else's code, and where, without its text: that may quote a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {frames[-1].name} ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{place}"
