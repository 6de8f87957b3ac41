"""What the driver's errors mean. None leaves this room: their texts and arguments may quote rows and addresses."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import asyncpg

from ..errors import ConfigurationError, MimiError, StoreUnavailableError

_Meanings: TypeAlias = "Sequence[tuple[type[BaseException] | tuple[type[BaseException], ...], str]]"

FLEETING: Final = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.OutdatedSchemaCacheError,
)
"""The same transaction may go through at once."""

LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,
    asyncpg.InvalidSQLStatementNameError,  # a pooler, or DISCARD ALL, took the prepared statements
    asyncpg.DuplicatePreparedStatementError,
    ConnectionError,
)
"""The connection is of no use any more; another one may be."""

ELSEWHERE: Final = (asyncpg.ReadOnlySQLTransactionError, asyncpg.DivisionByZeroError)
"""The server does not write (any more), or a read was not `whole`: after a failover another one does."""

ANY: Final = (
    asyncpg.PostgresError,
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,
    OSError,
    ValueError,
    OverflowError,
    LookupError,
    RuntimeError,
)
"""All that the driver raises."""

HOPELESS: Final = (ConnectionRefusedError, asyncpg.ClientConfigurationError)
"""Of those that look like a lost connection: another try fails in the same way."""

_MISSING = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.UndefinedFunctionError)

_OPTIONS = (
    asyncpg.ClientConfigurationError,
    asyncpg.UndefinedObjectError,
    asyncpg.InvalidParameterValueError,
    asyncpg.CantChangeRuntimeParamError,
)

_ODD_OPTION = (
    "its address has an option that is not known, or not so: sslmode and target_session_attrs are the driver's"
    " (asyncpg), others must be settings of the server; libpq's own, such as connect_timeout, are neither"
)
_ODD_NAME = (
    "the name of its schema is a word that PostgreSQL keeps for itself, or the server is older than PostgreSQL 14"
)

_MISTAKES: Final[_Meanings] = (
    (_OPTIONS, _ODD_OPTION),
    ((asyncpg.PostgresSyntaxError, asyncpg.ReservedNameError), _ODD_NAME),
    (RuntimeError, "its pool belongs to another event loop: make one in the loop that uses it"),
    (LookupError, "its connections have a client_encoding that Python does not know: leave it at UTF8"),
)
"""What only the host can mend."""

_UNREACHABLE = "it can't be reached: check that it runs, and its address"

_REMEDIES: Final[_Meanings] = (
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "it refuses this user: check the name and password in its address",
    ),
    (asyncpg.InvalidCatalogNameError, "there is no such database: make it, or check its name in the address"),
    (
        asyncpg.InsufficientPrivilegeError,
        "this user may not do that: grant it the schema and its tables, or let one who may CREATE make them",
    ),
    (asyncpg.ReadOnlySQLTransactionError, "it only reads: after a failover its address must lead to the new primary"),
    (asyncpg.DivisionByZeroError, "it is a replica, or row security hides rows: its address must lead to the primary"),
    (asyncpg.TooManyConnectionsError, "it has no connection left: use smaller pools, or a pooler in front of it"),
    (asyncpg.DiskFullError, "its disk is full"),
    (asyncpg.CannotConnectNowError, "it is starting or stopping"),
    (asyncpg.TargetServerAttributeNotMatched, "no server at its address can be written to"),
    (_MISSING, "its tables are gone"),
    (ConnectionRefusedError, _UNREACHABLE),
    (LOST, "the connection was lost"),
    (FLEETING, "others changed the same rows again and again"),
    (asyncpg.QueryCanceledError, "it took longer than the database allows"),
    (OSError, _UNREACHABLE),
)


def is_missing(error: BaseException) -> bool:
    """Tell whether the tables are not there."""
    return isinstance(error, _MISSING)


def translated(error: BaseException, purpose: str) -> MimiError:
    """Return what an error of the driver means to a caller of a database, without its text."""
    for kinds, mistake in _MISTAKES:
        if isinstance(error, kinds):
            return ConfigurationError(f"the {purpose} in PostgreSQL can't be used: {mistake}")
    for kinds, remedy in _REMEDIES:
        if isinstance(error, kinds):
            return StoreUnavailableError(f"the {purpose} in PostgreSQL is not available: {remedy}")
    return StoreUnavailableError(f"the {purpose} in PostgreSQL failed ({type(error).__name__}): its log says more")


def unanswered(purpose: str, seconds: float) -> StoreUnavailableError:
    """Return the error for a database that stands still."""
    return StoreUnavailableError(f"the {purpose} in PostgreSQL did not answer within {seconds:g} s")
