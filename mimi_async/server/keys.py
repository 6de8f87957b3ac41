"""The keys of the server, and everything that is derived with them: ids, digests and access tokens."""

import binascii
import functools
import hmac
import struct
from base64 import urlsafe_b64encode
from typing import Final

import attrs

from ..errors import ConfigurationError
from ..identity import AccessToken, AnonymousId, ClientSecret, CreateKey, Secret

KEY_BYTES: Final = 32

_CHECK = b"mimi_async: check value"
_TOKEN = struct.Struct(">16sQ")
_TOKEN_TEXT = 76  # base64url of 16 + 8 + 32 bytes, with its padding


@functools.lru_cache(maxsize=64)
def _begun(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")


def _digest(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256. `hmac.digest` would let go of the interpreter's lock each time, and queue for it again."""
    mac = _begun(key).copy()
    mac.update(message)
    return mac.digest()


def _long_enough(_: object, attribute: "attrs.Attribute[bytes]", key: bytes) -> None:
    if len(key) < KEY_BYTES:
        msg = f"the {attribute.name.replace('_', ' ')} is shorter than {KEY_BYTES} bytes"
        raise ConfigurationError(msg)


@attrs.frozen(kw_only=True, repr=False)
class Keys:
    """The secrets of one deployment, shared by all of its processes.

    The id key and the pepper never change: every id of every user hangs on them. The token key may be rotated.

    Attributes:
        id_key: Derives a user's anonymousId from its create key, so that a replay gets the same one.
        pepper: Digests what the database is searched by, so that it holds neither ids nor keys.
        token_keys: Sign access tokens. The first signs; all of them verify.
    """

    id_key: bytes = attrs.field(validator=_long_enough)
    pepper: bytes = attrs.field(validator=_long_enough)
    token_keys: tuple[bytes, ...] = attrs.field(
        validator=attrs.validators.deep_iterable(_long_enough, attrs.validators.min_len(1))
    )

    def __repr__(self) -> str:
        return "Keys(…)"

    def check_values(self) -> dict[str, bytes]:
        """Return what the database keeps in order to know these keys again; it tells nothing about them."""
        return {"id_key": _digest(self.id_key, _CHECK), "pepper": _digest(self.pepper, _CHECK)}

    def anonymous_id(self, key: CreateKey, partner: str) -> AnonymousId:
        """Return the id of the user that a partner's create key makes: the same one, ever after."""
        digits = _digest(self.id_key, f"{key.reveal()}\0{partner}".encode())[:16].hex()
        return AnonymousId(f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}")

    def id_digest(self, anonymous_id: AnonymousId) -> bytes:
        """Return what a user is found by at log-in."""
        return _digest(self.pepper, anonymous_id.reveal().encode())

    def create_digest(self, key: CreateKey) -> bytes:
        """Return what a creation is known again by."""
        return _digest(self.pepper, b"create key\0" + key.reveal().encode())

    def client_digest(self, secret: ClientSecret) -> bytes:
        """Return what a client secret is checked by; cheap, for secrets of ours have 256 random bits."""
        return _digest(self.pepper, b"client secret\0" + secret.reveal().encode())

    def test_digest(self, user_id: str, key: Secret) -> bytes:
        """Return what the submission of a hearing test is known again by, among those of its user."""
        return _digest(self.pepper, f"test key\0{user_id}\0{key.reveal()}".encode())

    def token(self, user_id: str, expires_at: float) -> AccessToken:
        """Return an access token.

        Args:
            user_id: 32 hex digits.
            expires_at: In seconds since the epoch.
        """
        content = _TOKEN.pack(bytes.fromhex(user_id), int(expires_at * 1000))
        signed = content + _digest(self.token_keys[0], content)
        return AccessToken(urlsafe_b64encode(signed).decode().rstrip("="))

    def holder(self, token: str, now: float) -> str | None:
        """Return the id of the user that a token of ours stands for, None for any other token or an expired one."""
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
