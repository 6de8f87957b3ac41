"""Checks of a connection before its answers are used.

They raise a `ConfigurationError`, or for a replica the driver's `ReadOnlySQLTransactionError`, which is retried.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final

import asyncpg

from ...errors import ConfigurationError
from .schema import Schema
from .statement import Connection, prove

_TEXT: Final = "t\u00e9xt"
_VALUES: Final = (_TEXT, b"bytes", 0.5, 7, True, ["texts"], None)
_ECHO: Final = """
SELECT $1::text, $2::bytea, $3::double precision, $4::bigint, $5::boolean, $6::text[], $7::integer,
textsend($1::text)"""

_HIDDEN: Final = prove(
    "check_rows",
    """
SELECT pg_is_in_recovery(), COALESCE(bool_or(row_security_active(kept.oid)), false) FROM pg_class AS kept
WHERE kept.relnamespace = $2::regnamespace AND kept.relkind IN ('r', 'p')""",
)

_IS_SHARED: Final = """
SELECT pg_backend_pid(), EXISTS (SELECT FROM pg_prepared_statements WHERE name = $1::text)"""


def check_loop(pool: asyncpg.Pool | None, schema: Schema) -> None:
    """Refuse the pool of another event loop before it is used: two threads on one connection crash the process."""
    if getattr(pool, "_loop", None) not in (None, asyncio.get_running_loop()):
        msg = (
            f"the pool of the {schema.purpose} in PostgreSQL belongs to another event loop: create one in the loop that"
            " uses it"
        )
        raise ConfigurationError(msg)


async def may_mix_statements(connection: Any) -> bool:
    """Return whether another client may execute a prepared statement of this connection, or the reverse.

    A pooler gives its clients a process id of its own. A pooler that tracks prepared statements also renames them; a
    pooler that passes their names on may lend the connection to another client after each transaction. The transaction
    here keeps the connection, so that this check is safe.
    """
    try:
        async with connection.transaction():
            statement = await connection.prepare(_IS_SHARED)
            pid, is_shared = await statement.fetchrow(statement.get_name())
    except asyncpg.DuplicatePreparedStatementError:
        return True
    return bool(is_shared and pid != connection.get_server_pid())


def check_writable(connection: Any) -> None:
    """Refuse a replica that reports itself: one that lags would return "nothing stored"; see `require_all_rows`."""
    if getattr(connection.get_settings(), "in_hot_standby", "off") == "on":
        raise asyncpg.ReadOnlySQLTransactionError


async def check_values(connection: Connection, schema: Schema) -> None:
    """Refuse connections that convert values in another way, as a host may configure: records would look damaged."""
    expected = [(type(value), value) for value in (*_VALUES, _TEXT.encode())]
    with suppress(TypeError, ValueError, AttributeError, asyncpg.DataError):
        row = await connection.fetchrow(_ECHO, *_VALUES)
        if [(type(value), value) for value in row] == expected:
            return
    msg = (
        f"the connections of the {schema.purpose} have type codecs of their own, or a client_encoding other than UTF8:"
        " leave both as they are"
    )
    raise ConfigurationError(msg)


async def check_rows(connection: Connection, schema: Schema) -> None:
    """Refuse a replica, and a database whose row security hides rows: "nothing stored" would be believed."""
    ((is_replica, hides),) = await _HIDDEN.fetch(connection, schema.name)
    if is_replica:
        raise asyncpg.ReadOnlySQLTransactionError
    if hides:
        msg = f"row security hides rows of the {schema.purpose} from this user: exempt it (BYPASSRLS)"
        raise ConfigurationError(msg)


def check_version(version: int | None, schema: Schema) -> None:
    """Refuse tables that are missing, older or newer."""
    tables = f"the tables of the {schema.purpose}"
    if version is None:
        msg = f"{tables} are not in this database: {schema.remedy}"
    elif version < schema.version:
        msg = f"{tables} are of version {version}: {schema.remedy}"
    elif version > schema.version:
        msg = (
            f"{tables} are of version {version}, this program knows {schema.version}: update mimi-async; nothing was"
            " changed"
        )
    else:
        return
    raise ConfigurationError(msg)
