"""What an entry of the keyring holds, to the letter: a record, or the tombstone of one, checked when it is read."""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

import attrs

from ...errors import InvalidInputError, StoreCorruptError
from ..base import REVISION_BYTES, StoredIdentity


@attrs.frozen
class Tombstone:
    """Says that there was a record of the account, and that it is gone.

    Attributes:
        revision: Of this tombstone: no two are taken for each other, such as that of a restored backup.
    """

    revision: bytes = attrs.field(factory=lambda: os.urandom(REVISION_BYTES))

    def write(self, account: str) -> str:
        """Return it as the keyring holds it."""
        return _write("tombstone", account, {"revision": self.revision.hex()})

    @classmethod
    def read(cls, account: str, text: str) -> Self | None:
        """Return the tombstone of a text that is one, to the letter, else None."""
        with suppress(ValueError, TypeError, KeyError, RecursionError):
            tombstone = cls(bytes.fromhex(json.loads(text)["tombstone"]["revision"]))
            if tombstone.write(account) == text:
                return tombstone
        return None


def write_text(account: str, record: StoredIdentity) -> str:
    """Return a record as the keyring holds it."""
    fields = {
        "state": record.state,
        "secret": record.secret.reveal(),
        "user_id": record.user_id,
        "revision": record.revision.hex(),
        "changed_at": record.changed_at,
    }
    return _write("record", account, fields)


def read_text(account: str, text: str) -> StoredIdentity | Tombstone:
    """Return what was written, to the letter.

    Raises:
        StoreCorruptError: It is nothing that was.
    """
    if tombstone := Tombstone.read(account, text):
        return tombstone
    with suppress(ValueError, TypeError, KeyError, RecursionError, InvalidInputError):
        fields = json.loads(text)["record"]
        state, secret, user_id, changed_at = (fields[name] for name in ("state", "secret", "user_id", "changed_at"))
        record = StoredIdentity.read(state, secret, user_id, bytes.fromhex(fields["revision"]), changed_at)
        if write_text(account, record) == text:
            return record
    msg = "the record of the account can't be read; it was kept: `start_over()` moves it aside"
    raise StoreCorruptError(msg, revision=digest_of(text))


def digest_of(text: str) -> bytes:
    """Return what stands for a text that can't be read, as long as a revision."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=REVISION_BYTES).digest()


def _write(kind: str, account: str, fields: Mapping[str, object]) -> str:
    """Return JSON with a checksum, over the account as well."""
    checksum = hashlib.sha256(json.dumps([account, fields]).encode()).hexdigest()
    return json.dumps({kind: fields, "checksum": checksum})
