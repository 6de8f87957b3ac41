"""The file: created whole or not at all, private, and refused where it belongs to another user or program."""

import logging
import os
import secrets
import sqlite3
import stat
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Final

import attrs

from ...errors import ConfigurationError, StoreCorruptError, StoreUnavailableError
from ..dsn import Creation, validate_name
from ..private_files import check_folder, create_private, make_private, publish, sync_folder, system_call

_log = logging.getLogger("mimi_async.databases.sqlite")

CHECKED_BYTES: Final = 64 * 1024 * 1024

_LOG_SUFFIX = "-wal"


class FileReplacedError(sqlite3.OperationalError):
    """The path no longer leads to the file that was opened: what is written there would be lost."""

    sqlite_errorcode = sqlite3.SQLITE_READONLY_DBMOVED
    sqlite_errorname = "SQLITE_READONLY_DBMOVED"


@attrs.frozen(kw_only=True)
class Schema:
    """What a database file must be.

    Attributes:
        purpose: What the file is, for messages: "identity store".
        application_id: A number in the header of the file, so that the database of another program is refused.
        version: The newest schema that this code knows.
        statements: Turn an empty database into one of that version.
        migrations: Version → the statements that turn a database of it into one of the next version.
        companions: Suffixes of the files beside it that prove that the file existed: without it they are of no use.
    """

    purpose: str
    application_id: int
    version: int
    statements: Sequence[str]
    migrations: Mapping[int, Sequence[str]] = attrs.field(factory=dict)
    companions: Sequence[str] = ()


class File:
    """The open file, in the thread that owns it. Where it is missing, it is created whole or not at all.

    Arguments and errors: see `Database`.
    """

    __slots__ = ("_identity", "_log", "_log_identity", "_path", "connection")

    def __init__(
        self, path: Path, schema: Schema, creation: Creation, *, busy_timeout: float, checked_bytes: int
    ) -> None:
        try:
            _check_creation(path, schema, creation)
            _check_folder(path, schema.purpose, creation)
            with system_call("stat", path):
                is_missing = not path.exists()
            if is_missing:
                _create(path, schema, busy_timeout)
            self._path, self._identity = path, _check_file(path)
            if is_missing:
                _log.warning("the %s %s was missing: it was created, new and empty", schema.purpose, path)
            self._log = Path(f"{path}{_LOG_SUFFIX}")
            self._log_identity: tuple[int, int] | None = None
        except OSError as error:
            refused = StoreUnavailableError(f"the {schema.purpose} {path} can't be opened: {error.strerror}")
        else:
            self.connection: sqlite3.Connection = _open(path, schema, busy_timeout, checked_bytes)
            return
        raise refused

    def check(self) -> None:
        """Check that the path still leads to this file, and that the write-ahead log beside it is still the same.

        Raises:
            FileReplacedError: One of them was moved or replaced: what was written here could not be found again.
        """
        try:
            self._log_identity = self._log_identity or _identify(self._log)
            is_same = _identify(self._path) == self._identity and _identify(self._log) == self._log_identity
        except OSError:
            is_same = False
        if not is_same:
            raise FileReplacedError

    def close(self) -> None:
        """Close the file; the last connection moves the log into the file."""
        with suppress(sqlite3.Error):
            self.connection.close()


def _identify(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_dev, facts.st_ino


def _check_creation(path: Path, schema: Schema, creation: Creation) -> None:
    """Check that a missing file may be created. Its companions are created after it, and deleted before it.

    Raises:
        ConfigurationError: A companion exists, so that the file must have existed.
        StoreUnavailableError: The file must exist; its disk may be mounted later.
    """
    with system_call("stat", path):
        companions = (Path(f"{path}{suffix}") for suffix in (_LOG_SUFFIX, *schema.companions))
        found = [companion for companion in companions if companion.exists()]
        exists = path.exists()  # read after the companions, which another process creates after the file
    if exists:
        return
    what = f"the {schema.purpose} {path}"
    if creation == "nothing":
        msg = f"{what} is missing, and must exist: mount its disk, restore a backup, or name the right file"
        raise StoreUnavailableError(msg)
    if found:
        msg = (
            f"{what} is missing, and {found[0]} is there: both were kept beside each other; restore the file, or move"
            f" {found[0]} away to begin with an empty one"
        )
        raise ConfigurationError(msg)


def _check_folder(path: Path, purpose: str, creation: Creation) -> None:
    """Check the folder of a file; create it where it is missing, the outermost folder first."""
    with system_call("stat", path):
        is_folder = path.is_dir()
        missing = [folder for folder in reversed(path.parents) if not folder.exists()]
    if is_folder:
        msg = f"{path} is a folder: name a file in it, such as {path / 'ids.sqlite3'}"
        raise ConfigurationError(msg)
    if missing and creation != "folder":
        msg = (
            f"the folder {path.parent} of the {purpose} is missing: create it, mount its disk, or let it be created by"
            " create_folder=True, or ?create=folder in a URL"
        )
        raise ConfigurationError(msg)
    for folder in missing:
        validate_name(folder.name, f"the name of a missing folder of the {purpose}")
    for folder in missing:
        with system_call("mkdir", folder), suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        sync_folder(folder.parent)
    check_folder(path.parent)


def _check_file(path: Path) -> tuple[int, int]:
    """Refuse a file that is not a regular one of this user, and make it private; return its identity."""
    with system_call("stat", path):
        facts = path.lstat()
    if not stat.S_ISREG(facts.st_mode):
        msg = f"{path} is a link or not a regular file: name the file itself"
        raise ConfigurationError(msg)
    if facts.st_uid != os.geteuid():
        msg = f"{path} belongs to another user: run as its owner, or choose another file"
        raise ConfigurationError(msg)
    make_private(path, facts)
    return facts.st_dev, facts.st_ino


def _create(path: Path, schema: Schema, busy_timeout: float) -> None:
    """Build the database under another name and link it into place.

    So a file that exists is complete, and an empty one was truncated: it is never read as "nothing stored". WAL comes
    last: with it, what was committed would reach the file only at the close, which reports no failure.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    os.close(create_private(draft))
    try:
        with closing(_connect(draft, busy_timeout)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            for statement in schema.statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={schema.application_id}")
            connection.execute(f"PRAGMA user_version={schema.version}")
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode=WAL")
        publish(draft, path)
    finally:
        for leftover in ("", "-wal", "-shm"):
            Path(f"{draft}{leftover}").unlink(missing_ok=True)


def _connect(path: Path, busy_timeout: float) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=busy_timeout, isolation_level=None)
    # A text that is not UTF-8 is read with surrogates: the exception that sqlite3 raises otherwise quotes it.
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    return connection


def _open(path: Path, schema: Schema, busy_timeout: float, checked_bytes: int) -> sqlite3.Connection:
    connection = _connect(path, busy_timeout)
    try:
        _check_schema(connection, path, schema)
        if path.stat().st_size <= checked_bytes:
            _check_pages(connection, path, schema)
        _switch_log_on(connection, path, schema)
        for setting in ("synchronous=FULL", "secure_delete=ON", "foreign_keys=ON", "cell_size_check=ON"):
            connection.execute(f"PRAGMA {setting}")
        _migrate(connection, schema)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_schema(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
    if not (application_id or version or tables):
        msg = f"the {schema.purpose} {path} is empty: it was truncated; it was kept as it is: restore a backup"
        raise StoreCorruptError(msg)
    if application_id != schema.application_id:
        msg = f"{path} is another program's database, not the {schema.purpose}: name another file"
        raise ConfigurationError(msg)
    if version > schema.version:
        msg = f"{path} was written by a newer mimi_async (schema {version}, known is {schema.version}): update this one"
        raise ConfigurationError(msg)
    if version < schema.version and version not in schema.migrations:
        msg = f"the {schema.purpose} {path} has no schema version; it was kept as it is: restore a backup"
        raise StoreCorruptError(msg)


def _migrate(connection: sqlite3.Connection, schema: Schema) -> None:
    """Bring an older database to the newest version, in one transaction: another process may do so at the same time."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == schema.version:
        return
    connection.execute("BEGIN IMMEDIATE")
    for version in range(connection.execute("PRAGMA user_version").fetchone()[0], schema.version):
        for statement in schema.migrations[version]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={version + 1}")
    connection.execute("COMMIT")


def _switch_log_on(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Switch the write-ahead log on. It needs memory that processes share, which some file systems do not have."""
    if connection.execute("PRAGMA journal_mode=WAL").fetchone() != ("wal",):
        msg = f"the {schema.purpose} {path} can't have a write-ahead log there: choose a folder on a local file system"
        raise StoreUnavailableError(msg)


def _check_pages(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Check that no row is hidden: SQLite reads a page with a wrong number of rows without an error."""
    if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        msg = f"the {schema.purpose} {path} is damaged; it was kept as it is: restore a backup"
        raise StoreCorruptError(msg)
