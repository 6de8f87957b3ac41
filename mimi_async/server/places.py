"""Where the users are kept: a file of this machine, or a PostgreSQL database. Each says where its keys come from."""

import hmac
import os
from asyncio import to_thread
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import attrs

from ..dsn import SCHEMES, shown_dsn
from ..errors import ConfigurationError
from .keyfile import NAMES, check_different, from_environment, from_file, make_file
from .keys import KEY_BYTES, Keys
from .settings import Settings
from .sqlite import SQLiteUserBook
from .users import UserBook


class Place(Protocol):
    """A database of users. As a text it is what may be shown of it: never a password."""

    def book(self, settings: Settings) -> UserBook:
        """Return the book that lies there, not yet open.

        Raises:
            ConfigurationError: There can't be one.
        """

    def keys(self, environ: Mapping[str, str], *, is_new: bool) -> Keys:
        """Return the keys that belong to it; it blocks.

        Raises:
            ConfigurationError: They are lost, or were not given.
        """


@attrs.frozen
class FilePlace:
    """A SQLite file. Its keys lie beside it, in a file of mode 0600, unless the environment names them."""

    path: Path = attrs.field(converter=Path)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def key_file(self) -> Path:
        """Where the keys lie."""
        return self.path.with_name(f"{self.path.name}.keys")

    def book(self, settings: Settings) -> UserBook:
        """Return the book in this file."""
        return SQLiteUserBook(self.path, settings.database_seconds)

    def keys(self, environ: Mapping[str, str], *, is_new: bool) -> Keys:
        """Return the keys of the environment or of the file, which is made for a new database."""
        keys = from_environment(environ) or from_file(self.key_file)
        if keys is None and is_new:
            make_file(self.key_file)
            keys = from_file(self.key_file)
        if keys is None:
            msg = (
                f"the key file {self.key_file} of this database is missing: restore it, "
                "or every anonymousId is unknown for ever"
            )
            raise ConfigurationError(msg)
        return keys


@attrs.frozen(repr=False)
class PostgresPlace:
    """A PostgreSQL database. Its keys come from the environment: many machines use it, and none of them is its home."""

    address: str

    def __str__(self) -> str:
        return shown_dsn(self.address)

    def __repr__(self) -> str:
        return f"PostgresPlace({self})"

    def book(self, settings: Settings) -> UserBook:
        """Return the book in this database."""
        try:
            from .postgres import PostgresUserBook
        except ModuleNotFoundError as error:
            missing = str(error)
        else:
            return PostgresUserBook(self.address, settings.database_seconds, settings.database_connections)
        raise ConfigurationError(missing)

    def keys(self, environ: Mapping[str, str], *, is_new: bool) -> Keys:
        """Return the keys of the environment."""
        del is_new
        keys = from_environment(environ)
        if keys is None:
            msg = (
                f"with PostgreSQL the keys come from the environment: set {', '.join(NAMES)}, each to {KEY_BYTES} "
                f"random bytes in hex digits (`openssl rand -hex {KEY_BYTES}`), the same for every server of this "
                "database, and keep a copy in a safe place: without them every anonymousId is unknown for ever"
            )
            raise ConfigurationError(msg)
        return keys


def place_of(database: str | os.PathLike[str] | Place) -> Place:
    """Return the place that is named by a path, or by the address of a PostgreSQL database."""
    if not isinstance(database, (str, os.PathLike)):
        return database
    if isinstance(database, str) and database.startswith(SCHEMES):
        return PostgresPlace(database)
    if isinstance(database, str) and "://" in database:
        msg = "a database is the path of a file, or postgresql://user@host/database"
        raise ConfigurationError(msg)
    return FilePlace(Path(database))


async def keys_of(book: UserBook, place: Place, environ: Mapping[str, str]) -> Keys:
    """Return the keys of an open book; a new one belongs to the keys that it is first opened with.

    Raises:
        ConfigurationError: The keys are lost or were not given, they belong to another database, or one of them would
            serve two purposes of a new database.
    """
    kept = await book.check_values()
    keys = await to_thread(place.keys, environ, is_new=not kept)
    if not kept:
        check_different(keys)
    kept = await book.keep_check_values(keys.check_values())
    wrong = [name for name, value in keys.check_values().items() if not hmac.compare_digest(kept[name], value)]
    if wrong:
        msg = (
            f"{place} was made with another {' and another '.join(name.replace('_', ' ') for name in wrong)}: under "
            "the one given every anonymousId would be unknown. Give the keys that this database was made with"
        )
        raise ConfigurationError(msg)
    return keys
