"""Read a record from a row of a database: whole or damaged."""

import hashlib
from collections.abc import Sequence

from ..errors import InvalidInputError, StoreCorruptError
from .base import REVISION_BYTES, StoredIdentity


def read_row(row: Sequence[object], *, is_intact: bool) -> StoredIdentity | StoreCorruptError:
    """Return the record of a row, or the error to raise, by a frame whose locals do not hold the row.

    Args:
        row: state, secret, user_id, revision, changed_at; further columns are ignored.
        is_intact: Whether the digest of the row is right.
    """
    if is_intact:
        state, secret, user_id, revision, changed_at, *_ = row
        try:
            return StoredIdentity.read(state, secret, user_id, revision, changed_at)
        except InvalidInputError:
            pass
    msg = "the record of the account can't be read; it was kept: `start_over()` moves it to the quarantine"
    return StoreCorruptError(msg, revision=_revision_of_damage(row))


def _revision_of_damage(row: Sequence[object]) -> bytes:
    revision = row[3]
    if isinstance(revision, bytes) and len(revision) == REVISION_BYTES:
        return revision
    return hashlib.blake2b(repr(tuple(row)).encode(errors="replace"), digest_size=REVISION_BYTES).digest()
