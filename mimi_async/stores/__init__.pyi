from .base import Change, DamagedIdentity, IdentityStore, State, StoredIdentity, account_digest
from .copying import copy_records, rename_account
from .keyring import KeyringStore
from .memory import MemoryStore
from .postgres import PostgresStore
from .sealed import SealedStore
from .sqlite import SQLiteStore

__all__ = [
    "Change",
    "DamagedIdentity",
    "IdentityStore",
    "KeyringStore",
    "MemoryStore",
    "PostgresStore",
    "SQLiteStore",
    "SealedStore",
    "State",
    "StoredIdentity",
    "account_digest",
    "copy_records",
    "open_store",
    "rename_account",
]

def open_store(url: str | None = None) -> IdentityStore: ...
