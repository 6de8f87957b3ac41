"""A mark says whether something belongs to somebody, and not to whom: what a page carries must not tell who it is."""

import hashlib
import hmac

MARK_BYTES = 8


def mark_of(whose: str, salt: bytes, context: bytes = b"") -> bytes:
    """Return the mark of a user's id, or of an account: 8 bytes of SHA-256 over the salt, that and the context.

    A user's id has 128 random bits, so its mark tells nothing to who does not know it. That of an account can be tried
    with a guess: it is for pages of that very account alone. Another salt gives another mark.
    """
    parts = (b"mimi-async mark 1", salt, whose.encode(), context)
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()[:MARK_BYTES]


def is_marked(mark: bytes, whose: str, salt: bytes, context: bytes = b"") -> bool:
    """Tell whether a mark that comes back is that of this user's id, or of this account."""
    return hmac.compare_digest(mark, mark_of(whose, salt, context))
