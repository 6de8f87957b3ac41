"""The rows of a SQLite store, changed behind its back."""

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType

from mimi_async.stores.sqlite import _digest

COLUMNS = MappingProxyType(
    {
        "account": "CAST(? AS TEXT)",
        "state": "CAST(? AS TEXT)",
        "secret": "CAST(? AS TEXT)",
        "user_id": "CAST(? AS TEXT)",
        "revision": "?",
        "changed_at": "?",
        "digest": "?",
    }
)
"""A column → how its bytes are written."""


class Rows:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def get(self, column: str, account: str) -> bytes:
        """The bytes of a column, none for NULL."""
        how = column if column == "changed_at" else f"CAST({column} AS BLOB)"
        (value,) = self.connection.execute(f"SELECT {how} FROM identities WHERE account = ?", (account,)).fetchone()
        return struct.pack(">d", value) if isinstance(value, float) else value or b""

    def set(self, column: str, value: bytes, account: str | None = None) -> None:
        """Write the bytes of a column of one account, or of all."""
        written = struct.unpack(">d", value)[0] if column == "changed_at" else value
        change = f"UPDATE identities SET {column} = {COLUMNS[column]} WHERE ? IN (account, '')"
        self.connection.execute(change, (written, account or ""))

    def update_digests(self) -> None:
        """Make the digests right again."""
        for account, *values, _ in self.connection.execute("SELECT * FROM identities").fetchall():
            digest = _digest(account, values)
            self.connection.execute("UPDATE identities SET digest = ? WHERE account = ?", (digest, account))


@contextmanager
def behind_the_back_of(path: Path) -> Iterator[Rows]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        connection.execute("PRAGMA synchronous = OFF")  # no test cuts the power
        yield Rows(connection)
    finally:
        connection.close()


def cuts(whole: bytes) -> Iterator[bytes]:
    """Yield all that is left when something is cut off at its end."""
    for length in range(len(whole)):
        yield whole[:length]


def flips(whole: bytes) -> Iterator[bytes]:
    """Yield it with each of its bits turned over."""
    for bit in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)
