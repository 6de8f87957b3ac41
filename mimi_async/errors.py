"""The error tree of the library.

    MimiError
    ├── ConfigurationError         another event loop · a forked child · bad settings · a reentrant call
    │   ├── NotStartedError        before the core was entered, and after it was left
    │   └── AnonymousUserOnlyError a profile or launcher without allows_anonymous_user_only=True
    ├── InvalidInputError          (also ValueError) refused by the SDK, or by the server with 422
    │   └── InvalidAnonymousIdError
    ├── AuthenticationError        the server understood the request and refused it
    │   ├── CredentialsRejectedError
    │   ├── UnknownAnonymousIdError
    │   ├── ErasedAnonymousIdError .anonymous_id
    │   ├── ForciblyLoggedOutError
    │   ├── AlreadyAuthenticatedError
    │   └── NotAuthenticatedError
    ├── UserConflictError          .current_user
    ├── AnonymityViolationError    a reply that names a person
    ├── ServerError                no usable reply
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
    ├── OnlyCopyError              the store may hold the only copy of the id
    ├── NotRestoredError
    ├── ViewsClosedError           .__cause__ is the reason
    └── StartupError               .phase

No exception of aiohttp, tenacity, sqlite3 or msgspec reaches a caller. No message quotes a secret.
"""

import traceback
from pathlib import Path
from typing import Any, Literal, Self

Phase = Literal["transport", "store", "restore"]
"""A phase of the start-up."""


class MimiError(Exception):
    """The base class of every error of this library.

    Attributes:
        retryable: Whether the same call may succeed later without a change.
        request_id: The X-Request-ID that the server logged, or None without a request.
    """

    retryable: bool = False
    _not_pickled: tuple[str, ...] = ()

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        super().__init__(message)
        self.request_id = request_id

    def copy(self) -> Self:
        """Return a copy for another waiter: a shared exception would collect every waiter's traceback and context."""
        copy: Self = _rebuild(type(self), self.args, self.__dict__)
        copy.__cause__ = self.__cause__
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle without the constructor, whose keyword arguments pickle does not know."""
        return _rebuild, (type(self), self.args, self.__dict__ | dict.fromkeys(self._not_pickled))


def _rebuild(kind: type[MimiError], args: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class ConfigurationError(MimiError):
    """The library is used in a way that cannot work. The message says what to change."""


class NotStartedError(ConfigurationError):
    """The call needs the server or the store, and the core was not entered, or was left."""


class AnonymousUserOnlyError(ConfigurationError):
    """A profile or launcher is configured without `allows_anonymous_user_only=True` (guide, step 4)."""


class InvalidInputError(MimiError, ValueError):
    """A value was refused, by the SDK or by the server (422). Nothing was changed."""


class InvalidAnonymousIdError(InvalidInputError):
    """A text does not have the form of an anonymousId. The message does not quote it."""


class AuthenticationError(MimiError):
    """The server understood the request and refused it, or the account has no user."""


class CredentialsRejectedError(AuthenticationError):
    """The client is unknown to the server, or is not allowed to do this. The stored id was kept."""


class UnknownAnonymousIdError(AuthenticationError):
    """The server has no user of this id. The record was kept, marked as rejected, and no user was created.

    A later call asks the server again once the reply is older than `Timeouts.recheck_first`. The host may decide to
    call `AuthController.start_over`, which returns the id.
    """


class ErasedAnonymousIdError(AuthenticationError):
    """The person erased this profile, here or in another product. The host drops its copy of this id and no other.

    The account may already have another id, from another product: the host keeps that one.

    Attributes:
        anonymous_id: The `AnonymousId` that was erased; None where this process did not know it. Not pickled.
    """

    _not_pickled = ("anonymous_id",)

    def __init__(self, message: str, *, anonymous_id: Any = None, request_id: str | None = None) -> None:
        super().__init__(message, request_id=request_id)
        self.anonymous_id = anonymous_id


class ForciblyLoggedOutError(AuthenticationError):
    """The server no longer knows the logged-in user. The host keeps its copy of the id."""


class AlreadyAuthenticatedError(AuthenticationError):
    """A new anonymous user was requested, and the account has a user. No user was created or replaced."""


class NotAuthenticatedError(AuthenticationError):
    """The call needs a user and the account has none. `ensure_user()` creates one."""


class UserConflictError(MimiError):
    """Another client changed the user after the caller read it. Nothing was overwritten.

    Attributes:
        current_user: The current `MimiUser`, also `current_user` of the controller. Not pickled.
    """

    _not_pickled = ("current_user",)

    def __init__(self, message: str, *, current_user: Any = None, request_id: str | None = None) -> None:
        super().__init__(message, request_id=request_id)
        self.current_user = current_user


class AnonymityViolationError(MimiError):
    """A reply identifies a person. It was refused: neither state nor record was changed."""


class ServerError(MimiError):
    """The server gave no usable reply. The record was kept."""


class ServerUnreachableError(ServerError):
    """No connection: refused, reset, unknown host name, no route."""

    retryable = True


class ServerTimeoutError(ServerError, TimeoutError):
    """No reply in time."""

    retryable = True


class ServerBusyError(ServerError):
    """The server cannot serve the request now: 408, 425, 429 or 5xx.

    Attributes:
        retry_after: Seconds to wait before the next attempt, from the reply's Retry-After; else None.
    """

    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, request_id: str | None = None) -> None:
        super().__init__(message, request_id=request_id)
        self.retry_after = retry_after


class InsecureServerError(ServerError):
    """The server's TLS certificate could not be verified. Not retried within a call.

    A later call may succeed without a change, once the server has a valid certificate.
    """

    retryable = True


class ProtocolError(ServerError):
    """The reply is not one of the contract to this request: unreadable, redirected, of another exchange or user."""

    retryable = True


class UnserviceableError(ServerError):
    """The server no longer supports this version of the SDK: the app must be updated.

    Latched: every later call raises it without a request, and every gate stays shut.
    """


class StoreError(MimiError):
    """The store failed. A failed read is never taken for "no user"."""


class StoreUnavailableError(StoreError):
    """The store does not respond: locked, full, read-only, hanging, missing."""

    retryable = True


class StoreCorruptError(StoreError):
    """The store holds data that cannot be read. The data were kept unchanged.

    Attributes:
        revision: The revision with which `forget` quarantines the damaged record; None if the whole store is damaged.
    """

    def __init__(self, message: str, *, revision: bytes | None = None) -> None:
        super().__init__(message)
        self.revision = revision


class StoreConflictError(StoreError):
    """Another process changed the record. It was not overwritten."""

    retryable = True


class OnlyCopyError(MimiError):
    """The store may hold the only copy of the id, so the record was kept: to remove it could lose the profile.

    `known_id` does not return the id, or the last update with this user did not reach every observer. Store the id at
    the host and try again, or call `log_out(discard_id=True)`.
    """

    retryable = True


class NotRestoredError(MimiError):
    """The account is not restored, so it may or may not have a user. `.__cause__` is the failure of the restore."""

    retryable = True


class ViewsClosedError(MimiError):
    """The gate is shut, so no view runs. `.__cause__` is the reason."""


class StartupError(MimiError):
    """The core could not start, and closed what it had opened. `.__cause__` is the reason.

    Attributes:
        phase: The phase that failed: "transport", "store" or "restore".
        retryable: Whether a new core with the same settings may start later; that of the cause.
    """

    def __init__(self, message: str, *, phase: Phase, retryable: bool = False) -> None:
        super().__init__(message)
        self.phase = phase
        self.retryable = retryable


def describe_exception(error: BaseException) -> str:
    """Describe an exception of host code by its type and place, without its text, which may quote a secret."""
    frames = list(traceback.walk_tb(error.__traceback__))  # extract_tb() would read the files of the source
    if not frames:
        return type(error).__name__
    frame, line = frames[-1]
    return f"{type(error).__name__} in {frame.f_code.co_name} ({Path(frame.f_code.co_filename).name}:{line})"
