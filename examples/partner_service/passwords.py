"""The partner's own passwords, in a table beside the accounts. The SDK never gets them.

This stands for the partner's sign-in. A real one would also limit attempts and let users change a password.
"""

import asyncio
import hashlib
import hmac
import os
import sqlite3
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from .accounts import Accounts

SHORTEST, LONGEST = 8, 200
"""Length of a password in characters."""

COST = {"n": 2**14, "r": 8, "p": 5}
"""Parameters of scrypt, as OWASP recommends: 0.2 s and 16 MB for each hash."""

_SCHEMA = "CREATE TABLE IF NOT EXISTS passwords (account TEXT PRIMARY KEY, salt BLOB NOT NULL, digest BLOB NOT NULL)"
_SELECT = "SELECT salt, digest FROM passwords WHERE account = ?"
_NEW_ACCOUNT = "INSERT INTO accounts (account) VALUES (?) ON CONFLICT DO NOTHING"
_NEW = "INSERT INTO passwords VALUES (?, ?, ?)"

_MAX_CONCURRENT = 2
"""Maximum number of concurrent hashes: each takes 16 MB and a thread that `known_id` needs, too."""


@dataclass(frozen=True)
class Digest:
    """A salted hash of a password by scrypt (RFC 7914)."""

    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, password: str) -> Self:
        """Hash a password with a new random salt."""
        salt = os.urandom(16)
        return cls(salt, _scrypt(password, salt))

    def matches(self, password: str) -> bool:
        """Return, in constant time, whether the password matches."""
        return hmac.compare_digest(self.digest, _scrypt(password, self.salt))


class Passwords:
    """Verify passwords. Both products share the table, as they share the accounts."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._limit = asyncio.Semaphore(_MAX_CONCURRENT)

    async def verify(self, account: str, password: str) -> bool:
        """Return whether the password is that of the account. A new name becomes an account with this password.

        An existing account without a password cannot be taken over this way.
        """
        async with self._limit:
            kept = await self._accounts.run(partial(_load, account))
            if kept is None:
                made = await asyncio.to_thread(Digest.of, password)
                kept = await self._accounts.run(partial(_create, account, made))
            return kept is not None and await asyncio.to_thread(kept.matches, password)


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, maxmem=2**26, **COST)


def _load(account: str, table: sqlite3.Connection) -> Digest | None:
    table.execute(_SCHEMA)
    row = table.execute(_SELECT, (account,)).fetchone()
    return None if row is None else Digest(*row)


def _create(account: str, made: Digest, table: sqlite3.Connection) -> Digest | None:
    """Create the account unless it exists; return its stored digest."""
    if table.execute(_NEW_ACCOUNT, (account,)).rowcount:
        table.execute(_NEW, (account, made.salt, made.digest))
    return _load(account, table)
