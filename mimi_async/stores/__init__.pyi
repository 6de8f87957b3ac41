from .base import DamagedIdentity, IdentityStore, State, StoredIdentity
from .memory import MemoryStore
from .sqlite import SQLiteStore

__all__ = [
    "DamagedIdentity",
    "IdentityStore",
    "MemoryStore",
    "SQLiteStore",
    "State",
    "StoredIdentity",
    "open_store",
]

def open_store(url: str | None = None) -> IdentityStore: ...
