"""A keyring for tests: it keeps its entries in a file, and fails as a test requires."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import keyring.errors
import pytest
from keyring.backend import KeyringBackend

from mimi_async.errors import StoreUnavailableError
from mimi_async.stores import KeyringStore
from mimi_async.stores.keyring.keys import find_fingerprint
from tests.proofs.canary import Canary

SERVICE = "com.example.player"
_TABLE = "CREATE TABLE IF NOT EXISTS entries (service, username, password, PRIMARY KEY (service, username))"

Verb = Literal["get", "set", "delete"]


def do_nothing(_: Verb) -> None:
    """Do nothing before or after a verb."""


def failing_with(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises the error, whatever its arguments are."""

    def fail(*_: object) -> None:
        raise error

    return fail


class FileKeyring(KeyringBackend):
    """Entries in a SQLite file, so that stores and processes share them.

    Attributes:
        calls: The verbs that were called.
        before, after: Called with the verb before and after its work; what it raises is the keyring's failure.
        is_lying: Whether it says of every entry that it is not there.
    """

    priority = 5

    def __init__(self, path: Path) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring's own
        self._path = path
        self.calls: list[Verb] = []
        self.before: Callable[[Verb], object] = do_nothing
        self.after: Callable[[Verb], object] = do_nothing
        self.is_lying = False

    def get_password(self, service: str, username: str) -> str | None:
        self._begin("get")
        rows = self.run("SELECT password FROM entries WHERE service = ? AND username = ?", service, username)
        self.after("get")
        return None if self.is_lying or not rows else str(rows[0][0])

    def set_password(self, service: str, username: str, password: str) -> None:
        self._begin("set")
        self.run("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", service, username, password)
        self.after("set")

    def delete_password(self, service: str, username: str) -> None:
        self._begin("delete")
        if not self.run("DELETE FROM entries WHERE service = ? AND username = ? RETURNING 1", service, username):
            msg = "no such password"
            raise keyring.errors.PasswordDeleteError(msg)
        self.after("delete")

    def entries(self) -> dict[str, str]:
        """All passwords, by the names of their entries."""
        return dict(self.run("SELECT username, password FROM entries"))

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement on the file, without a record in `calls`."""
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=30)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(_TABLE)
            return connection.execute(statement, values).fetchall()

    def _begin(self, verb: Verb) -> None:
        self.calls.append(verb)
        self.before(verb)


def keyring_at(folder: Path) -> FileKeyring:
    """The keyring of a folder."""
    return FileKeyring(folder / "keyring.sqlite3")


def store_at(folder: Path, backend: KeyringBackend | None = None, *, timeout: float = 30.0) -> KeyringStore:
    """A store on the file of a folder, and on its keyring or another one."""
    return KeyringStore(SERVICE, path=folder / "ids.sqlite3", backend=backend or keyring_at(folder), timeout=timeout)


async def failure_of(store: KeyringStore, *secrets: str) -> StoreUnavailableError:
    """Return the error of an opening, which leaves no file open.

    It shows no secret, nor does the traceback with the locals of its frames.
    """
    try:
        await store.__aenter__()
    except StoreUnavailableError as error:
        failure = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)  # without this frame
    else:
        pytest.fail("the keyring store was opened")
    canary = Canary()
    for secret in secrets:
        canary.add_secret("secret", secret)
    canary.record_error(failure)
    assert canary.find_leaks() == set()
    assert failure.retryable
    assert not list(store.path.parent.glob("*-wal"))
    assert failure.__cause__ is failure.__context__ is None
    return failure


def fingerprint_at(folder: Path) -> str | None:
    """The fingerprint in the file of a folder."""
    with closing(sqlite3.connect(folder / "ids.sqlite3")) as connection:
        return find_fingerprint(connection)
