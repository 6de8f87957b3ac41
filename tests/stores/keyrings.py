"""Keyrings for tests: one that keeps its entries in a file, and does what a test tells it to."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import keyring.errors
from keyring.backend import KeyringBackend

from mimi_async.stores import KeyringStore
from mimi_async.stores.keyring.markers import name_of

SERVICE = "com.example.player"
_TABLE = "CREATE TABLE IF NOT EXISTS entries (service, username, password, PRIMARY KEY (service, username))"

Verb = Literal["get", "set", "delete"]


def nothing(_: Verb) -> None:
    """What happens by itself."""


def failing_with(error: BaseException) -> Callable[..., Any]:
    """What fails, whatever it is asked."""

    def fail(*_: object) -> None:
        raise error

    return fail


class FileKeyring(KeyringBackend):
    """Entries in a SQLite file, so that stores and processes agree.

    Attributes:
        asked: The verbs that were called.
        before, after: Called with the verb before and after its work; what it raises is the keyring's failure.
        is_lying: Says of every entry that it is not there.
    """

    priority = 5

    def __init__(self, path: Path) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring's own
        self._path = path
        self.asked: list[Verb] = []
        self.before: Callable[[Verb], object] = nothing
        self.after: Callable[[Verb], object] = nothing
        self.is_lying = False

    def get_password(self, service: str, username: str) -> str | None:
        self._meet("get")
        rows = self._run("SELECT password FROM entries WHERE service = ? AND username = ?", service, username)
        self.after("get")
        return None if self.is_lying or not rows else bytes(rows[0][0]).decode()

    def set_password(self, service: str, username: str, password: str) -> None:
        self._meet("set")
        self._run("DELETE FROM entries WHERE service = ? AND username = ?", service, username)  # as that of macOS does
        self._run("INSERT INTO entries VALUES (?, ?, ?)", service, username, password.encode())
        self.after("set")

    def delete_password(self, service: str, username: str) -> None:
        self._meet("delete")
        if not self._run("DELETE FROM entries WHERE service = ? AND username = ? RETURNING 1", service, username):
            msg = "no such password"
            raise keyring.errors.PasswordDeleteError(msg)
        self.after("delete")

    def entries(self) -> dict[str, bytes]:
        """All passwords, by the names of their entries."""
        return dict(self._run("SELECT username, password FROM entries"))

    def spoil(self, account: str, password: bytes) -> None:
        """Put something in place of the record of an account, as a failing disk does."""
        self._run("UPDATE entries SET password = ? WHERE username = ?", password, name_of(account))

    def _meet(self, verb: Verb) -> None:
        self.asked.append(verb)
        self.before(verb)

    def _run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=30)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(_TABLE)
            return connection.execute(statement, values).fetchall()


def keyring_at(place: Path) -> FileKeyring:
    """The keyring of a place."""
    return FileKeyring(place / "keyring.sqlite3")


def store_at(place: Path, backend: KeyringBackend | None = None, *, timeout: float = 30.0) -> KeyringStore:
    """A store on the keyring of a place, or on another one, with the markers of that place."""
    return KeyringStore(SERVICE, folder=place / "markers", backend=backend or keyring_at(place), timeout=timeout)


def marker_at(place: Path, account: str = "a") -> Path:
    """Where the marker of an account lies."""
    (folder,) = (place / "markers").iterdir()
    return folder / name_of(account)
