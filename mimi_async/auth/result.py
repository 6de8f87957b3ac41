"""The outcome of an action, and what its update says."""

from typing import Generic, TypeVar

import attrs

from ..errors import (
    AlreadyAuthenticatedError,
    ConfigurationError,
    MimiError,
    NotAuthenticatedError,
    OnlyCopyError,
    StoreConflictError,
    UserConflictError,
)

T_co = TypeVar("T_co", covariant=True)

_REFUSALS = (AlreadyAuthenticatedError, NotAuthenticatedError, OnlyCopyError, UserConflictError, ConfigurationError)


@attrs.define(eq=False)  # a frozen one takes 0.6 µs longer to make
class ActionResult(Generic[T_co]):
    """The outcome of an action.

    Attributes:
        value: What the caller gets.
        error: Why the user changed, or why the action failed, for the update; None for neither.
        repeats_update: Whether the user is delivered though it has not changed, so that the host stores the id.
    """

    value: T_co
    error: MimiError | None = None
    repeats_update: bool = False


class PostponedError(Exception):
    """The store may hold the only copy of an id: the action runs again after an update with the id was delivered.

    Attributes:
        result: What the update says.
    """

    def __init__(self, result: ActionResult[None]) -> None:
        super().__init__()
        self.result = result


class UserChangedError(StoreConflictError):
    """Another process has changed the record, and the state follows it. The update shows the change, not this error.

    Attributes:
        update_error: The error of the update, None for none.
    """

    def __init__(self, message: str, update_error: MimiError | None = None) -> None:
        super().__init__(message)
        self.update_error = update_error


def update_error(error: Exception) -> MimiError | None:
    """Return the error that the update of a failed action shows; None for a refusal, which has no update."""
    if isinstance(error, UserChangedError):
        return error.update_error
    return error if isinstance(error, MimiError) and not isinstance(error, _REFUSALS) else None
