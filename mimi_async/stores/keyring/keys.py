"""The key that seals the records of one file, its entry in the keyring, and the row that names it in the file."""

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Self, TypeVar

import attrs
from cryptography.fernet import Fernet
from keyring.backend import KeyringBackend

from ...errors import ConfigurationError, StoreUnavailableError
from ...secret import Secret
from .backends import translate_error

_T = TypeVar("_T")

_CREATE = "CREATE TABLE IF NOT EXISTS sealing_key (fingerprint TEXT NOT NULL)"
_TABLE = "SELECT 1 FROM sqlite_master WHERE name = 'sealing_key'"
_INSERT = "INSERT INTO sealing_key VALUES (?)"
_SELECT = "SELECT fingerprint FROM sealing_key"
_RECORDS = "SELECT 1 FROM identities LIMIT 1"

_SESSION = "unlock the keyring, or log in to the session whose keyring was used before"


class SealingKey(Secret):
    """A Fernet key."""

    __slots__ = ()

    @classmethod
    def generate(cls) -> Self:
        """Return a new key of 256 random bits."""
        return cls(Fernet.generate_key().decode())

    @property
    def fingerprint(self) -> str:
        """128 bits of the SHA-256 of the key, in hex: they name the key, and do not disclose it."""
        return hashlib.sha256(self.reveal().encode(errors="surrogatepass")).hexdigest()[:32]


@attrs.frozen
class KeyEntries:
    """The keys of one service in a keyring, each in an entry that is named by the key's fingerprint.

    A call blocks for as long as the keyring does: call it in a thread.

    Raises:
        StoreUnavailableError: The keyring failed, or its answer can't be right.
    """

    service: str
    backend: KeyringBackend

    def write(self, key: SealingKey) -> None:
        """Write a key and read it back."""
        self._call(self.backend.set_password, key.fingerprint, key.reveal())
        if self._get(key.fingerprint) != key.reveal():
            msg = (
                "the keyring did not keep the key that was written to it; no record was sealed with it:"
                f" {_SESSION}, or use another store"
            )
            raise StoreUnavailableError(msg)

    def read(self, fingerprint: str) -> SealingKey | None:
        """Return the key, or None where the keyring says that it has no such entry."""
        text = self._get(fingerprint)
        if text is None:
            return None
        key = SealingKey(text)
        if key.fingerprint != fingerprint:
            msg = f"the keyring returned another value than the key {fingerprint}; the value was kept: {_SESSION}"
            raise StoreUnavailableError(msg)
        return key

    def delete(self, key: SealingKey) -> None:
        """Delete a key that seals nothing. Where the keyring refuses, it stays, and does no harm."""
        with suppress(StoreUnavailableError):
            self._call(self.backend.delete_password, key.fingerprint)

    def _get(self, fingerprint: str) -> str | None:
        text: object = self._call(self.backend.get_password, fingerprint)
        if text is None or isinstance(text, str):
            return text
        msg = f"the keyring answered with {type(text).__name__} in place of a text; what it holds was kept: {_SESSION}"
        raise StoreUnavailableError(msg)

    def _call(self, method: Callable[..., _T], *arguments: str) -> _T:
        try:
            return method(self.service, *arguments)
        except BaseException as error:  # noqa: BLE001 - a back end may raise anything
            refused = translate_error(error)
        raise refused


def find_fingerprint(connection: sqlite3.Connection) -> str | None:
    """Return the fingerprint, or None in a file that holds no record yet.

    Raises:
        ConfigurationError: The file holds records, and names no key.
    """
    has_records = connection.execute(_RECORDS).fetchone() is not None  # first: a record is written after the row
    row = connection.execute(_SELECT).fetchone() if connection.execute(_TABLE).fetchone() else None
    if row is None and has_records:
        msg = (
            "the file holds records and names no key of a keyring: it belongs to another store, such as SQLiteStore; it"
            " was kept as it is: name another file, and copy the records by `mimi-async store copy`"
        )
        raise ConfigurationError(msg)
    return None if row is None else str(row[0])


def claim_fingerprint(fingerprint: str, connection: sqlite3.Connection) -> str:
    """Name the key of the file unless it has one; return the fingerprint that the file names now. Run it in a write."""
    found = find_fingerprint(connection)
    if found is None:
        connection.execute(_CREATE)
        connection.execute(_INSERT, (fingerprint,))
    return found or fingerprint
