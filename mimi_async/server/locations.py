"""The location of the user database, a SQLite file or a PostgreSQL database, and of its keys."""

import hmac
import os
from asyncio import to_thread
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import attrs

from ..databases.dsn import Creation, read_url, redact_dsn, validate_path
from ..errors import ConfigurationError
from .keyfile import NAMES, check_different, create_file, load_from_environment, load_from_file
from .keys import KEY_BYTES, Keys
from .settings import Settings
from .users.repository import UserRepository
from .users.sqlite import SQLiteUserRepository
from .users.sqlite_schema import SCHEMA


def _validate(path: str | os.PathLike[str]) -> Path:
    return validate_path(path, SCHEMA.purpose)


@attrs.frozen
class SQLiteLocation:
    """A SQLite file. Its keys are in the environment, or in a file of mode 0600 beside it.

    Attributes:
        path: The absolute path of the file. A path with an obvious mistake is a `ConfigurationError`.
        creation: What is created if it is missing: the file, its folder too, or nothing.
    """

    path: Path = attrs.field(converter=_validate)
    creation: Creation = "file"

    def __str__(self) -> str:
        return str(self.path)

    @property
    def key_file(self) -> Path:
        """The path of the key file."""
        return self.path.with_name(f"{self.path.name}.keys")

    def create_repository(self, settings: Settings) -> UserRepository:
        """Return the repository of this file, not yet open."""
        return SQLiteUserRepository(self.path, settings.database_seconds, self.creation)

    def load_keys(self, environ: Mapping[str, str], *, is_new: bool) -> Keys:
        """Return the keys of the environment or of the key file, which is created for a new database. Blocks.

        Raises:
            ConfigurationError: The keys are missing.
        """
        keys = load_from_environment(environ) or load_from_file(self.key_file)
        if keys is None and is_new:
            create_file(self.key_file)
            keys = load_from_file(self.key_file)
        if keys is None:
            msg = (
                f"the key file {self.key_file} of this database is missing: restore it, "
                "as without it no anonymousId can be recognised"
            )
            raise ConfigurationError(msg)
        return keys


@attrs.frozen(repr=False)
class PostgresLocation:
    """A PostgreSQL database. Its keys come from the environment, as several machines share it."""

    address: str

    def __str__(self) -> str:
        return redact_dsn(self.address)

    def __repr__(self) -> str:
        return f"PostgresLocation({self})"

    def create_repository(self, settings: Settings) -> UserRepository:
        """Return the repository of this database, not yet open.

        Raises:
            ConfigurationError: The driver is not installed.
        """
        try:
            from .users.postgres import PostgresUserRepository
        except ModuleNotFoundError as error:
            raise ConfigurationError(str(error)) from None
        return PostgresUserRepository(self.address, settings.database_seconds, settings.database_connections)

    def load_keys(self, environ: Mapping[str, str], *, is_new: bool) -> Keys:
        """Return the keys of the environment. Raises as that of `SQLiteLocation`."""
        del is_new
        keys = load_from_environment(environ)
        if keys is None:
            msg = (
                f"with PostgreSQL the keys come from the environment: set {', '.join(NAMES)}, each to {KEY_BYTES} "
                f"random bytes in hex digits (`openssl rand -hex {KEY_BYTES}`), the same for every server of this "
                "database, and keep a copy in a safe place: without them no anonymousId can be recognised"
            )
            raise ConfigurationError(msg)
        return keys


DatabaseLocation: TypeAlias = SQLiteLocation | PostgresLocation
"""The location of a user database. Its `str()` holds no password."""


def parse_location(database: str | os.PathLike[str] | DatabaseLocation) -> DatabaseLocation:
    """Return the location of a path or a URL. Raises as `parse_url`."""
    if not isinstance(database, (str, os.PathLike)):
        return database
    if isinstance(database, str) and "://" in database:
        return parse_url(database)
    return SQLiteLocation(database)


def parse_url(url: str) -> DatabaseLocation:
    """Return the location of a URL.

    Raises:
        ConfigurationError: The URL has a mistake, or names another kind of database. It is not quoted.
    """
    parsed = read_url(url, "database", ("sqlite", "postgresql"))
    if parsed.scheme == "postgresql":
        return PostgresLocation(parsed.name)
    return SQLiteLocation(parsed.name, parsed.creation)


async def load_keys(repository: UserRepository, location: DatabaseLocation, environ: Mapping[str, str]) -> Keys:
    """Return the keys of an open repository. A new database is bound to the keys of its first start.

    Raises:
        ConfigurationError: The keys are missing or belong to another database, or two keys of a new database are equal.
    """
    stored = await repository.check_values()
    keys = await to_thread(location.load_keys, environ, is_new=not stored)
    if not stored:
        check_different(keys)
    stored = await repository.keep_check_values(keys.check_values())
    wrong = [name for name, value in keys.check_values().items() if not hmac.compare_digest(stored[name], value)]
    if wrong:
        names = " and another ".join(name.replace("_", " ") for name in wrong)
        msg = (
            f"{location} was created with another {names}, and with this one no anonymousId could be recognised: set "
            "the keys that this database was created with"
        )
        raise ConfigurationError(msg)
    return keys
