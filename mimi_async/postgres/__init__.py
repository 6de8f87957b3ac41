"""A PostgreSQL database as coroutines see it: the one room that knows the driver. Needs the extra `postgres`."""

try:
    from .address import Address
    from .connection import Connection
    from .database import Database, Source
    from .listener import Listener
except ModuleNotFoundError as _missing:
    if _missing.name != "asyncpg":
        raise
    msg = "PostgreSQL needs asyncpg: pip install 'mimi-async[postgres]'"
    raise ModuleNotFoundError(msg, name=_missing.name) from None

from .schema import Schema, whole

__all__ = ["Address", "Connection", "Database", "Listener", "Schema", "Source", "whole"]
