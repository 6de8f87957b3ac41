"""Where the ids are kept. `__init__.pyi` tells type checkers what `__getattr__` imports when it is asked for."""

import importlib
import os
from typing import Any, cast
from urllib.parse import unquote

from ..errors import ConfigurationError
from .base import Change, DamagedIdentity, IdentityStore, State, StoredIdentity, account_digest
from .copying import copy_records

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
]

_BACK_ENDS = {
    "KeyringStore": "keyring",
    "MemoryStore": "memory",
    "PostgresStore": "postgres",
    "SQLiteStore": "sqlite",
    "SealedStore": "sealed",
}

_EXTRAS = {"asyncpg": "postgres", "cryptography": "sealed", "keyring": "keyring"}
"""What a back-end imports that is no requirement of ours → the extra that brings it."""


def open_store(url: str | None = None) -> IdentityStore:
    """Return the store that a URL names, not yet entered.

    Args:
        url: `memory://`, `sqlite:///ids.sqlite3` for a file in the working directory, or `sqlite:////var/lib/ids.sqlite3`
            with an absolute path, percent-encoded where need be; `postgresql://user:password@host/database`;
            `keyring://com.example.player`, the name of your service. None reads MIMI_STORE_URL.

    Raises:
        ConfigurationError: There is no such store. The URL is not quoted: it may hold a password.
        ModuleNotFoundError: The extra that it needs is not installed; the message names it.
    """
    url = os.environ.get("MIMI_STORE_URL", "") if url is None else url
    scheme, _, rest = url.partition("://")
    if not url:
        msg = "no store is named: set MIMI_STORE_URL, to sqlite:///ids.sqlite3 for example"
    else:
        store = _named(scheme, unquote(rest), url)
        if store is not None:
            return store
        msg = (
            "a store URL is one of memory://, sqlite:///relative/path, sqlite:////absolute/path, "
            "postgresql://user@host/database, keyring://service; this is none of them"
        )
    raise ConfigurationError(msg)


def _named(scheme: str, rest: str, url: str) -> IdentityStore | None:
    match scheme:
        case "memory" if not rest:
            return cast("IdentityStore", __getattr__("MemoryStore")())
        case "sqlite" if rest.startswith("/") and len(rest) > 1:
            return cast("IdentityStore", __getattr__("SQLiteStore")(rest[1:]))
        case "postgresql" | "postgres" if rest:
            return cast("IdentityStore", __getattr__("PostgresStore")(url))
        case "keyring" if rest:
            return cast("IdentityStore", __getattr__("KeyringStore")(rest))
    return None


def __getattr__(name: str) -> Any:
    """Import a back-end when its store is first asked for: nobody loads the driver of another one."""
    if name not in _BACK_ENDS:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        return getattr(importlib.import_module(f".{_BACK_ENDS[name]}", __name__), name)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRAS:
            raise
    msg = f"a {name} needs {missing}: pip install 'mimi-async[{_EXTRAS[missing]}]'"
    raise ModuleNotFoundError(msg, name=missing)
