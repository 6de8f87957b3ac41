"""Where the ids are kept. `__init__.pyi` tells type checkers what `__getattr__` imports when it is asked for."""

import importlib
import os
from urllib.parse import unquote

from ..errors import ConfigurationError
from .base import DamagedIdentity, IdentityStore, State, StoredIdentity

__all__ = [
    "DamagedIdentity",
    "IdentityStore",
    "MemoryStore",
    "SQLiteStore",
    "State",
    "StoredIdentity",
    "open_store",
]

_BACK_ENDS = {"MemoryStore": "memory", "SQLiteStore": "sqlite"}


def open_store(url: str | None = None) -> IdentityStore:
    """Return the store that a URL names, not yet entered.

    Args:
        url: `memory://`, `sqlite:///ids.sqlite3` for a file in the working directory, or `sqlite:////var/lib/ids.sqlite3`
            with an absolute path, percent-encoded where need be. None reads MIMI_STORE_URL.

    Raises:
        ConfigurationError: There is no such store. The URL is not quoted: it may hold a password.
    """
    url = os.environ.get("MIMI_STORE_URL", "") if url is None else url
    scheme, _, rest = url.partition("://")
    if not url:
        msg = "no store is named: set MIMI_STORE_URL, to sqlite:///ids.sqlite3 for example"
    elif scheme == "memory" and not rest:
        from .memory import MemoryStore

        return MemoryStore()
    elif scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        from .sqlite import SQLiteStore

        return SQLiteStore(unquote(rest[1:]))
    else:
        msg = "a store URL is one of memory://, sqlite:///relative/path, sqlite:////absolute/path; this is neither"
    raise ConfigurationError(msg)


def __getattr__(name: str) -> object:
    """Import a back-end when its store is first asked for: nobody loads the driver of another one."""
    if name not in _BACK_ENDS:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f".{_BACK_ENDS[name]}", __name__), name)
