"""The keys of the server, and the ids, digests and access tokens that are derived with them."""

import binascii
import functools
import hmac
import struct
from base64 import urlsafe_b64encode
from typing import Final

import attrs

from ..secret import AccessToken, AnonymousId, ClientSecret, CreateKey, Secret

KEY_BYTES: Final = 32
"""The minimum length of a key in bytes."""

_CHECK = b"mimi_async: check value"
_TOKEN = struct.Struct(">16sQ")
_TOKEN_TEXT = 76  # base64url of 16 + 8 + 32 bytes, with its padding


@functools.lru_cache(maxsize=64)
def _start_hmac(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")


def _digest(key: bytes, message: bytes) -> bytes:
    """Return the HMAC-SHA-256. `hmac.digest` would release the interpreter lock each time, and wait for it again."""
    mac = _start_hmac(key).copy()
    mac.update(message)
    return mac.digest()


@attrs.frozen(kw_only=True, repr=False)
class Keys:
    """The secret keys of one deployment, shared by all of its processes.

    The id key and the pepper never change: every anonymousId depends on them. The token key may be rotated.

    Attributes:
        id_key: Derives the anonymousId of a user from its create key, so that a replay returns the same id.
        pepper: Derives the digests that the database stores instead of ids, create keys and client secrets.
        token_keys: Sign access tokens. The first signs, all of them verify.
    """

    id_key: bytes
    pepper: bytes
    token_keys: tuple[bytes, ...]

    def __repr__(self) -> str:
        return "Keys(…)"

    def check_values(self) -> dict[str, bytes]:
        """Return the check values that the database stores to recognise these keys. They reveal nothing about them."""
        return {"id_key": _digest(self.id_key, _CHECK), "pepper": _digest(self.pepper, _CHECK)}

    def derive_id(self, key: CreateKey, partner: str) -> AnonymousId:
        """Return the anonymousId of the user of a partner's create key."""
        digits = _digest(self.id_key, f"{key.reveal()}\0{partner}".encode())[:16].hex()
        return AnonymousId(f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}")

    def digest_id(self, anonymous_id: AnonymousId) -> bytes:
        """Return the digest of an anonymousId, by which a log-in finds the user."""
        return _digest(self.pepper, anonymous_id.reveal().encode())

    def digest_create_key(self, key: CreateKey) -> bytes:
        """Return the digest of a create key, by which a replay finds the user."""
        return _digest(self.pepper, b"create key\0" + key.reveal().encode())

    def digest_client_secret(self, secret: ClientSecret) -> bytes:
        """Return the digest of a client secret. One HMAC is enough, as client secrets have 256 random bits."""
        return _digest(self.pepper, b"client secret\0" + secret.reveal().encode())

    def digest_test_key(self, user_id: str, key: Secret) -> bytes:
        """Return the digest of the idempotency key of a hearing test of a user."""
        return _digest(self.pepper, f"test key\0{user_id}\0{key.reveal()}".encode())

    def sign_token(self, user_id: str, expires_at: float) -> AccessToken:
        """Return a signed access token.

        Args:
            user_id: 32 hex digits.
            expires_at: Seconds since the epoch.
        """
        content = _TOKEN.pack(bytes.fromhex(user_id), int(expires_at * 1000))
        signed = content + _digest(self.token_keys[0], content)
        return AccessToken(urlsafe_b64encode(signed).decode().rstrip("="))

    def verify_token(self, token: str, now: float) -> str | None:
        """Return the user id of a token; None if the token is invalid or expired. `now` in seconds since the epoch."""
        if len(token) >= _TOKEN_TEXT or not token.isascii():
            return None
        try:
            signed = binascii.a2b_base64(token.translate(_FROM_URL_SAFE) + "=", strict_mode=True)
        except binascii.Error:
            return None
        content, signature = signed[: _TOKEN.size], signed[_TOKEN.size :]
        if not any(hmac.compare_digest(_digest(key, content), signature) for key in self.token_keys):
            return None
        user_id, expires_at = _TOKEN.unpack(content)
        return user_id.hex() if now * 1000 < expires_at else None


_FROM_URL_SAFE = str.maketrans("-_", "+/")
