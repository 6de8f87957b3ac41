"""The stores of the records. `__init__.pyi` declares to type checkers what `__getattr__` imports on demand."""

import os
from typing import Any, cast

from ..errors import ConfigurationError
from .base import Change, DamagedIdentity, IdentityStore, State, StoredIdentity, account_digest
from .copying import copy_records, rename_account

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

_EXTRAS = {"KeyringStore": "keyring", "PostgresStore": "postgres", "SealedStore": "sealed"}
"""Store → the extra that brings its libraries."""

_LIBRARIES = {"asyncpg", "cryptography", "keyring", "platformdirs"}

_SCHEMES = ("memory", "sqlite", "postgresql", "keyring")


def open_store(url: str | None = None) -> IdentityStore:
    """Return the store that a URL names, not yet entered.

    Args:
        url: `memory://`; `sqlite:////var/lib/player/ids.sqlite3`, with four slashes, for an absolute path, or
            `sqlite:///ids.sqlite3` for a file in the working directory, percent-encoded where necessary;
            `postgresql://user:password@host/database`; `keyring://com.example.player`, the name of your service.
            `?mode=rw` after a path creates nothing: the file must exist. `?create=folder` creates its folder, too.
            After the name of a service, the same options follow `?`, or `?path=/absolute/path&`.
            None reads MIMI_STORE_URL.

    Raises:
        ConfigurationError: There is no such store, or the URL is nearly right: with a line end, a blank, a quotation
            mark or an invisible character, an unknown option, a fragment, a leading '~' or a variable that was not
            replaced. The message does not quote it: it may hold a password.
        ModuleNotFoundError: The extra that it needs is not installed; the message names the extra.
    """
    url = os.environ.get("MIMI_STORE_URL", "") if url is None else url
    if not url:
        msg = "no store is named: set MIMI_STORE_URL, to sqlite:////var/lib/player/ids.sqlite3 for example"
        raise ConfigurationError(msg)
    from ..databases.dsn import read_url  # its patterns are 2 % of the time to import the package

    location = read_url(url, "store", _SCHEMES)
    match location.scheme:
        case "memory":
            store = __getattr__("MemoryStore")()
        case "sqlite":
            store = __getattr__("SQLiteStore")(location.name, **_file_options(location.creation))
        case "postgresql":
            store = __getattr__("PostgresStore")(location.name)
        case _:
            store = __getattr__("KeyringStore")(location.name, path=location.path, **_file_options(location.creation))
    return cast("IdentityStore", store)


def _file_options(creation: str) -> dict[str, bool]:
    return {"create_folder": creation == "folder", "must_exist": creation == "nothing"}


def __getattr__(name: str) -> Any:
    """Import a store on first access, so that the drivers of the other stores are not imported.

    Each import is literal, because freezers read the bytecode.
    """
    try:
        match name:
            case "KeyringStore":
                from . import keyring as module
            case "MemoryStore":
                from . import memory as module
            case "PostgresStore":
                from . import postgres as module
            case "SQLiteStore":
                from . import sqlite as module
            case "SealedStore":
                from . import sealed as module
            case _:
                msg = f"module {__name__!r} has no attribute {name!r}"
                raise AttributeError(msg)
        return getattr(module, name)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _LIBRARIES:
            raise
    msg = f"a {name} needs {missing}: pip install 'mimi-async[{_EXTRAS[name]}]'"
    raise ModuleNotFoundError(msg, name=missing)
