"""The partner's own passwords, in a table beside that of the accounts. Nothing of it ever reaches the SDK.

It stands for whatever sign-in a partner has. A real one would also limit guesses and let people change a password.
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
"""How many characters a password has."""

_SCHEMA = "CREATE TABLE IF NOT EXISTS passwords (account TEXT PRIMARY KEY, salt BLOB NOT NULL, digest BLOB NOT NULL)"
_KEPT = "SELECT salt, digest FROM passwords WHERE account = ?"
_NEW_ACCOUNT = "INSERT INTO accounts (account) VALUES (?) ON CONFLICT DO NOTHING"
_NEW = "INSERT INTO passwords VALUES (?, ?, ?)"

_MOST_AT_ONCE = 2
"""How many hashes are computed at the same time: each takes 16 MB, and threads that known_id waits for, too."""


@dataclass(frozen=True)
class Digest:
    """What is kept of a password: a random salt, and what scrypt (RFC 7914) makes of the two."""

    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, password: str) -> Self:
        """Return a new digest."""
        salt = os.urandom(16)
        return cls(salt, _scrypt(password, salt))

    def fits(self, password: str) -> bool:
        """Tell in constant time whether it was made of this password."""
        return hmac.compare_digest(self.digest, _scrypt(password, self.salt))


class Passwords:
    """Tells who may sign in; both products share it, as they share the accounts."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._places = asyncio.Semaphore(_MOST_AT_ONCE)

    async def fit(self, account: str, password: str) -> bool:
        """Tell whether the password is the account's. A name that nobody has yet becomes an account with it.

        An account that the partner knows without a password, from elsewhere, can't be taken over this way.
        """
        async with self._places:
            kept = await self._accounts.run(partial(_kept, account))
            if kept is None:
                made = await asyncio.to_thread(Digest.of, password)
                kept = await self._accounts.run(partial(_made, account, made))
            return kept is not None and await asyncio.to_thread(kept.fits, password)


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=5, maxmem=2**26)  # as OWASP advises


def _kept(account: str, table: sqlite3.Connection) -> Digest | None:
    table.execute(_SCHEMA)
    row = table.execute(_KEPT, (account,)).fetchone()
    return None if row is None else Digest(*row)


def _made(account: str, made: Digest, table: sqlite3.Connection) -> Digest | None:
    """Make the account, unless there is one by now; return what is kept with it."""
    if table.execute(_NEW_ACCOUNT, (account,)).rowcount:
        table.execute(_NEW, (account, made.salt, made.digest))
    return _kept(account, table)
