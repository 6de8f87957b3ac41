"""A store in PostgreSQL, for any number of processes and machines. Needs the extra `postgres`."""

from .store import PostgresStore

__all__ = ["PostgresStore"]
