"""Records in PostgreSQL: any number of processes on any number of machines share them. Needs the extra `postgres`."""

from .store import PostgresStore

__all__ = ["PostgresStore"]
