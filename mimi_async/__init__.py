"""One anonymous Mimi user for each account: created exactly once, stored durably, restored before any view runs.

Unofficial, not affiliated with Mimi Hearing Technologies.
"""

from typing import TYPE_CHECKING, Any

from .auth.controller import AuthController
from .auth.log_in_methods import Anonymously, LogInAnonymously
from .core import MimiCore
from .errors import (
    AlreadyAuthenticatedError,
    AnonymityViolationError,
    AnonymousUserOnlyError,
    AuthenticationError,
    ConfigurationError,
    CredentialsRejectedError,
    ErasedAnonymousIdError,
    ForciblyLoggedOutError,
    InsecureServerError,
    InvalidAnonymousIdError,
    InvalidInputError,
    MimiError,
    NotAuthenticatedError,
    NotRestoredError,
    NotStartedError,
    OnlyCopyError,
    ProtocolError,
    ServerBusyError,
    ServerError,
    ServerTimeoutError,
    ServerUnreachableError,
    StartupError,
    StoreConflictError,
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
    UnknownAnonymousIdError,
    UnserviceableError,
    UserConflictError,
    ViewsClosedError,
)
from .hearing.results import Audiogram, Grade, HearingTestResult
from .identity import ClientCredentials, MimiUser
from .secret import AnonymousId
from .timeouts import Timeouts
from .updates.broadcaster import Subscription
from .updates.delivery import UserUpdate
from .updates.stream import UpdateStream

if TYPE_CHECKING:
    from .views import (
        Action,
        LauncherScreen,
        Profile,
        ProfileConfiguration,
        ProfileLauncher,
        ProfileScreen,
        TestFlow,
        TestScreen,
    )

__all__ = [
    "Action",
    "AlreadyAuthenticatedError",
    "AnonymityViolationError",
    "AnonymousId",
    "AnonymousUserOnlyError",
    "Anonymously",
    "Audiogram",
    "AuthController",
    "AuthenticationError",
    "ClientCredentials",
    "ConfigurationError",
    "CredentialsRejectedError",
    "ErasedAnonymousIdError",
    "ForciblyLoggedOutError",
    "Grade",
    "HearingTestResult",
    "InsecureServerError",
    "InvalidAnonymousIdError",
    "InvalidInputError",
    "LauncherScreen",
    "LogInAnonymously",
    "MimiCore",
    "MimiError",
    "MimiUser",
    "NotAuthenticatedError",
    "NotRestoredError",
    "NotStartedError",
    "OnlyCopyError",
    "Profile",
    "ProfileConfiguration",
    "ProfileLauncher",
    "ProfileScreen",
    "ProtocolError",
    "ServerBusyError",
    "ServerError",
    "ServerTimeoutError",
    "ServerUnreachableError",
    "StartupError",
    "StoreConflictError",
    "StoreCorruptError",
    "StoreError",
    "StoreUnavailableError",
    "Subscription",
    "TestFlow",
    "TestScreen",
    "Timeouts",
    "UnknownAnonymousIdError",
    "UnserviceableError",
    "UpdateStream",
    "UserConflictError",
    "UserUpdate",
    "ViewsClosedError",
]


def __getattr__(name: str) -> Any:
    """Import the views on the first access to one: they are a fifth of the time to import the package."""
    if name not in {"views", *__all__}:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    import mimi_async.views

    return mimi_async.views if name == "views" else getattr(mimi_async.views, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return [*__all__]
