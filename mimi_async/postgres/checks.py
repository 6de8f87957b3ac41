"""What is found out of a database before anything of it is believed."""

from contextlib import suppress
from typing import Final

import asyncpg

from ..errors import ConfigurationError
from .connection import Connection
from .schema import Schema

_TEXT: Final = "t\u00e9xt"
_VALUES: Final = (_TEXT, b"bytes", 0.5, 7, True, ["texts"], None)
_ECHO: Final = """
SELECT $1::text, $2::bytea, $3::double precision, $4::bigint, $5::boolean, $6::text[], $7::integer,
textsend($1::text)"""

_HIDDEN: Final = """
SELECT pg_is_in_recovery(), COALESCE(bool_or(row_security_active(kept.oid)), false) FROM pg_class AS kept
WHERE kept.relnamespace = $1::regnamespace AND kept.relkind IN ('r', 'p')"""


async def check_values(connection: Connection, schema: Schema) -> None:
    """Refuse connections that read values in another way, as a host may teach them: all records would look damaged.

    Raises:
        ConfigurationError: They do.
    """
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
    """Refuse to read what may lack rows that are there: "nothing stored" would be believed.

    Raises:
        ConfigurationError: Row security hides some.
        asyncpg.ReadOnlySQLTransactionError: It is a replica.
    """
    is_replica, hides = await connection.fetchrow(_HIDDEN, schema.name)
    if is_replica:
        raise asyncpg.ReadOnlySQLTransactionError
    if hides:
        msg = f"row security hides rows of the {schema.purpose} from this user: exempt it (BYPASSRLS)"
        raise ConfigurationError(msg)
