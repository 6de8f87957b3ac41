"""The file: made whole or not at all, private, and refused where it is not ours."""

import os
import secrets
import sqlite3
import stat
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import attrs

from ..errors import ConfigurationError, StoreCorruptError, StoreError, StoreUnavailableError

BUSY_SECONDS = 5.0
"""How long SQLite waits for another process that writes."""

_CHECKED_WHOLE = 64 * 1024 * 1024
"""Bytes up to which a file is checked at the opening, which takes about 2 ms for each MiB; a larger one is not."""

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class MovedError(sqlite3.OperationalError):
    """The path no longer leads to the file that was opened: what is written there would be lost."""

    sqlite_errorcode = sqlite3.SQLITE_READONLY_DBMOVED
    sqlite_errorname = "SQLITE_READONLY_DBMOVED"


@attrs.frozen(kw_only=True)
class Schema:
    """What a database file must be.

    Attributes:
        purpose: What the file is, for messages: "identity store".
        application_id: Stands in the file's header, so that no other program's database is taken for ours.
        version: The newest schema that this code knows.
        statements: Make an empty database into one of that version.
    """

    purpose: str
    application_id: int
    version: int
    statements: Sequence[str]


class File:
    """The open file, in the thread that owns it. Made whole, or not at all, where there is none.

    Raises:
        ConfigurationError: The path is no place for the file, the file is another program's, or a newer version's.
        StoreCorruptError: The file can't be read.
        StoreUnavailableError: The operating system or SQLite refuses.
    """

    __slots__ = ("_log", "_log_place", "_path", "_place", "connection")

    def __init__(self, path: Path, schema: Schema) -> None:
        try:
            _check_place(path)
            if not path.exists():
                _make(path, schema)
            _check_file(path)
            self._path, self._place = path, _place(path)
            self._log = Path(f"{path}-wal")
            self._log_place: tuple[int, int] | None = None
        except OSError as error:
            refused = StoreUnavailableError(f"the {schema.purpose} {path} can't be opened: {error.strerror}")
        else:
            self.connection: sqlite3.Connection = _opened(path, schema)
            return
        raise refused

    def check(self) -> None:
        """Check that the path still leads to this file, and that the write-ahead log beside it is still the same.

        Raises:
            MovedError: One leads elsewhere: nobody would find again what was written here.
        """
        try:
            self._log_place = self._log_place or _place(self._log)
            stayed = _place(self._path) == self._place and _place(self._log) == self._log_place
        except OSError:
            stayed = False
        if not stayed:
            raise MovedError

    def close(self) -> None:
        """Close it; the last connection moves the log into the file."""
        with suppress(sqlite3.Error):
            self.connection.close()


def _place(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_dev, facts.st_ino


def translated(error: sqlite3.Error | UnicodeDecodeError, purpose: str, path: Path) -> StoreError:
    """Return our error for one of SQLite's, whose text may quote a row, or for a text of it that is no UTF-8."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT if isinstance(error, UnicodeDecodeError) else 0)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if code & 0xFF in _CORRUPT:
        return StoreCorruptError(f"the {purpose} {path} can't be read ({name}); it was kept as it is: restore a backup")
    if code == sqlite3.SQLITE_READONLY_DBMOVED:
        return StoreUnavailableError(f"the {purpose} {path} was moved or replaced while it was open: open it again")
    return StoreUnavailableError(f"the {purpose} {path} does not answer ({name}); what it holds was kept")


def _check_place(path: Path) -> None:
    if path.is_dir():
        msg = f"{path} is a folder: name a file in it, such as {path / 'ids.sqlite3'}"
        raise ConfigurationError(msg)
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            _sync_folder(folder.parent)
    place = path.parent.stat()
    if place.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mend = "" if place.st_mode & stat.S_ISVTX else f", or `chmod go-w {path.parent}`"
        msg = f"others may write to the folder {path.parent}: choose a folder of your own{mend}"
        raise ConfigurationError(msg)
    if place.st_uid not in (0, os.geteuid()):
        msg = f"the folder {path.parent} belongs to another user: choose one of your own"
        raise ConfigurationError(msg)


def _check_file(path: Path) -> None:
    facts = path.lstat()
    if not stat.S_ISREG(facts.st_mode):
        msg = f"{path} is a link or no file: name the file itself"
        raise ConfigurationError(msg)
    if facts.st_uid != os.geteuid():
        msg = f"{path} belongs to another user: run as its owner, or choose another file"
        raise ConfigurationError(msg)
    if facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        path.chmod(0o600)


def _make(path: Path, schema: Schema) -> None:
    """Build the database under another name and link it into place.

    So a file that exists is complete, and one that is empty was truncated: it is never read as "nothing stored".
    WAL comes last: with it, what was committed would reach the file only at the close, which does not tell of failures.
    """
    building = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    os.close(os.open(building, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    try:
        with closing(_connect(building)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            for statement in schema.statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={schema.application_id}")
            connection.execute(f"PRAGMA user_version={schema.version}")
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode=WAL")
        with suppress(FileExistsError):  # another process was first: its file is as good
            os.link(building, path)
        _sync_folder(path.parent)
    finally:
        for leftover in ("", "-wal", "-shm"):
            Path(f"{building}{leftover}").unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _connect(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    # A text that is no UTF-8 comes with surrogates: the exception that sqlite3 raises otherwise quotes it.
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    return connection


def _set_up(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA cell_size_check=ON")


def _opened(path: Path, schema: Schema) -> sqlite3.Connection:
    connection = _connect(path)
    try:
        _check_schema(connection, path, schema)
        _check_pages(connection, path, schema)
        _set_up(connection)
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
        msg = f"{path} is no {schema.purpose} but another program's database: name another file"
        raise ConfigurationError(msg)
    if version > schema.version:
        msg = f"{path} was written by a newer mimi_async (schema {version}, known is {schema.version}): update this one"
        raise ConfigurationError(msg)
    if version < schema.version:
        msg = f"the {schema.purpose} {path} has no schema version; it was kept as it is: restore a backup"
        raise StoreCorruptError(msg)


def _check_pages(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Check that no row hides: a page that tells a wrong number of rows is read without complaint."""
    if path.stat().st_size <= _CHECKED_WHOLE and connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        msg = f"the {schema.purpose} {path} is damaged; it was kept as it is: restore a backup"
        raise StoreCorruptError(msg)
