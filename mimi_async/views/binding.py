"""Bind a page to a user or an account, without naming either in the page."""

import hashlib
import hmac

BINDING_BYTES = 8


def compute_binding(owner: str, salt: bytes, context: bytes = b"") -> bytes:
    """Return 8 bytes of SHA-256 over the salt, the owner (a user's id, or an account) and the context.

    A user's id has 128 random bits, so its binding reveals nothing. That of an account can be checked against a guess:
    it belongs only on pages of that very account. Another salt gives another binding.
    """
    parts = (b"mimi-async mark 1", salt, owner.encode(), context)
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()[:BINDING_BYTES]


def is_bound(binding: bytes, owner: str, salt: bytes, context: bytes = b"") -> bool:
    """Return whether a binding is that of this user's id, or of this account."""
    return hmac.compare_digest(binding, compute_binding(owner, salt, context))
