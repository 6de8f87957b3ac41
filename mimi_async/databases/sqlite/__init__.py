"""SQLite: one connection, one thread, one commit for all callers that wait."""

from .database import Database
from .file import Schema

__all__ = ["Database", "Schema"]
