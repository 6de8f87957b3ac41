"""Who is signed in: the partner's own sessions.

They are kept in memory, so that a restart signs everybody out. A partner has a session store already, and keeps it.
"""

import hashlib
import secrets
import time
from collections.abc import Callable

LIFE = 12 * 3600
"""Seconds from a sign-in to the end of its session."""


class Sessions:
    """Gives out tokens, and keeps a digest of each: who reads its memory can't sign in by what is there.

    Args:
        clock: Returns seconds; replaced by tests.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._sessions: dict[bytes, tuple[str, float]] = {}  # in the order of their ends

    def begin(self, account: str) -> str:
        """Return a new token of 256 random bits for an account."""
        self._forget_ended()
        token = secrets.token_urlsafe(32)
        self._sessions[_digest(token)] = account, self._clock() + LIFE
        return token

    def account_of(self, token: str) -> str | None:
        """Return who is signed in by a token; None where it was never given out, or has ended."""
        account, ends = self._sessions.get(_digest(token), (None, 0.0))
        return account if self._clock() < ends else None

    def end(self, token: str) -> None:
        """End a session; one that is unknown is none."""
        self._sessions.pop(_digest(token), None)

    def _forget_ended(self) -> None:
        now = self._clock()
        for digest, (_, ends) in list(self._sessions.items()):
            if now < ends:
                break
            del self._sessions[digest]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
