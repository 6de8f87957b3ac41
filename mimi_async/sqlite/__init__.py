"""SQLite: one connection, one thread, one commit for everybody who waits."""

from .database import Database
from .files import Schema

__all__ = ["Database", "Schema"]
