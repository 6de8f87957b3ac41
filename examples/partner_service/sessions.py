"""The partner's own sessions, in memory: a restart ends all of them. A partner uses its own session store."""

import hashlib
import secrets
import time
from collections.abc import Callable

LIFETIME = 12 * 3600
"""Lifetime of a session in seconds."""


class Sessions:
    """Issue session tokens and store only their digests.

    Args:
        clock: Returns seconds; replaced by tests.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._sessions: dict[bytes, tuple[str, float]] = {}  # oldest first

    def begin(self, account: str) -> str:
        """Start a session; return its token of 256 random bits."""
        self._remove_expired()
        token = secrets.token_urlsafe(32)
        self._sessions[_digest(token)] = account, self._clock() + LIFETIME
        return token

    def account_of(self, token: str) -> str | None:
        """Return the account of a token; None if the token is unknown or expired."""
        account, ends = self._sessions.get(_digest(token), (None, 0.0))
        return account if self._clock() < ends else None

    def end(self, token: str) -> None:
        """End a session. An unknown token is ignored."""
        self._sessions.pop(_digest(token), None)

    def _remove_expired(self) -> None:
        now = self._clock()
        for digest, (_, ends) in list(self._sessions.items()):
            if now < ends:
                break
            del self._sessions[digest]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
