"""Classify and translate the errors of the driver, whose texts and arguments may quote rows and addresses."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import asyncpg

from ...errors import ConfigurationError, MimiError, StoreUnavailableError

_Meanings: TypeAlias = "Sequence[tuple[type[BaseException] | tuple[type[BaseException], ...], str]]"


class WrongStatementError(ConnectionError):
    """The answer belongs to another statement than the one that was sent: the outcome of a write is unknown."""


RETRYABLE: Final = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.OutdatedSchemaCacheError,
)
"""The same transaction may succeed at once."""

MIXED_UP: Final = (
    WrongStatementError,
    asyncpg.InvalidTextRepresentationError,  # see `is_verb`
    asyncpg.InvalidSQLStatementNameError,
    asyncpg.DuplicatePreparedStatementError,
)
"""A pooler, or DISCARD ALL, removed the prepared statements of a connection, or mixed them with another client's."""

CONNECTION_LOST: Final = (
    *MIXED_UP,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,
    ConnectionError,
)
"""The connection is lost; another one may work."""

NOT_PRIMARY: Final = (asyncpg.ReadOnlySQLTransactionError, asyncpg.DivisionByZeroError)
"""The server only reads, or `require_all_rows` failed: after a failover another server is the primary."""

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
"""Everything that the driver raises."""

PERMANENT: Final = (ConnectionRefusedError, asyncpg.ClientConfigurationError)
"""Errors that look like a lost connection, and that another attempt meets again."""

MISSING: Final = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.UndefinedFunctionError)
"""The tables are missing."""

_OPTIONS = (
    asyncpg.ClientConfigurationError,
    asyncpg.UndefinedObjectError,
    asyncpg.InvalidParameterValueError,
    asyncpg.CantChangeRuntimeParamError,
)

_ODD_OPTION = (
    "its address has an option that is unknown or has a wrong value: sslmode and target_session_attrs are the driver's"
    " (asyncpg), others must be settings of the server; libpq's own, such as connect_timeout, are neither"
)
_ODD_NAME = "the name of its schema is a reserved word of PostgreSQL, or the server is older than PostgreSQL 14"

_MISTAKES: Final[_Meanings] = (
    (_OPTIONS, _ODD_OPTION),
    ((asyncpg.PostgresSyntaxError, asyncpg.ReservedNameError), _ODD_NAME),
    (LookupError, "its connections have a client_encoding that Python does not know: leave it at UTF8"),
)
"""Errors of the configuration of the host."""

_UNREACHABLE = "it can't be reached: check that it runs, and its address"

_MIX_UP = (
    "a pooler has mixed up or lost its prepared statements: create a pool with statement_cache_size=0; restart this"
    " program if the pooler is new"
)

_REMEDIES: Final[_Meanings] = (
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "it refuses this user: check the name and password in its address",
    ),
    (asyncpg.InvalidCatalogNameError, "there is no such database: create it, or check its name in the address"),
    (
        asyncpg.InsufficientPrivilegeError,
        "this user may not do that: grant it the schema and its tables, or create them as a user with the right CREATE",
    ),
    (asyncpg.ReadOnlySQLTransactionError, "it only reads: after a failover its address must lead to the new primary"),
    (asyncpg.DivisionByZeroError, "it is a replica, or row security hides rows: its address must lead to the primary"),
    (asyncpg.TooManyConnectionsError, "it has no connection left: use smaller pools, or a pooler in front of it"),
    (asyncpg.DiskFullError, "its disk is full"),
    (asyncpg.CannotConnectNowError, "it is starting or stopping"),
    (asyncpg.TargetServerAttributeNotMatched, "no server at its address can be written to"),
    (MISSING, "its tables are gone"),
    (ConnectionRefusedError, _UNREACHABLE),
    (MIXED_UP, _MIX_UP),
    (
        asyncpg.ProtocolViolationError,
        "it refused what was sent: behind a pooler, leave settings of the server out of the address",
    ),
    (CONNECTION_LOST, "the connection was lost"),
    (RETRYABLE, "other transactions changed the same rows in each attempt"),
    (asyncpg.QueryCanceledError, "it took longer than the database allows"),
    (OSError, _UNREACHABLE),
)


def is_retryable(error: BaseException) -> bool:
    """Return whether another attempt may succeed."""
    return isinstance(error, (*RETRYABLE, *CONNECTION_LOST, *NOT_PRIMARY)) and not isinstance(error, PERMANENT)


def translate_error(error: BaseException, purpose: str) -> MimiError:
    """Return our error for an error of the driver, without its text."""
    for kinds, mistake in _MISTAKES:
        if isinstance(error, kinds):
            return ConfigurationError(f"the {purpose} in PostgreSQL can't be used: {mistake}")
    for kinds, remedy in _REMEDIES:
        if isinstance(error, kinds):
            return StoreUnavailableError(f"the {purpose} in PostgreSQL is not available: {remedy}")
    return StoreUnavailableError(f"the {purpose} in PostgreSQL failed ({type(error).__name__}): its log says more")
