"""One anonymous Mimi user for each account of a partner: made once, kept safely, restored before any view runs.

Unofficial, not affiliated with Mimi Hearing Technologies.
"""

from .auth.controller import AuthController
from .auth.delivery import UserUpdate
from .auth.routes import Anonymously, LogInAnonymously
from .auth.signals import Subscription
from .auth.updates import Updates
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
    ViewsClosedError,
)
from .hearing.results import Audiogram, Grade, HearingTestResult
from .identity import AnonymousId, ClientCredentials, MimiUser
from .views.profile import (
    Action,
    LauncherScreen,
    Profile,
    ProfileConfiguration,
    ProfileLauncher,
    ProfileScreen,
)
from .views.test_flow import TestFlow, TestScreen

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
    "UnknownAnonymousIdError",
    "UnserviceableError",
    "Updates",
    "UserUpdate",
    "ViewsClosedError",
]
