"""A PostgreSQL database for coroutines: the only package that imports the driver. Needs the extra `postgres`."""

try:
    from .address import Address
    from .database import Database, Source
    from .notifications import Listener
    from .schema import Schema, require_all_rows
    from .statement import Connection, Statement, is_verb, prove
except ModuleNotFoundError as _missing:
    if _missing.name != "asyncpg":
        raise
    msg = "PostgreSQL needs asyncpg: pip install 'mimi-async[postgres]'"
    raise ModuleNotFoundError(msg, name=_missing.name) from None

__all__ = [
    "Address",
    "Connection",
    "Database",
    "Listener",
    "Schema",
    "Source",
    "Statement",
    "is_verb",
    "prove",
    "require_all_rows",
]
