"""The verbs of a store over a keyring, in the thread that may hang, while the lock of the markers is held.

Nobody is told of a record before its marker says "written", on the disk; from then on "not found" is a lie. What a kill
between any two steps leaves may be taken for what it looks like:

    first write   marker "writing" → set → read back → "written"    nobody was told of it: there or not, both are true
    overwrite     the same, the marker names both revisions         the old or the new record is there; neither is a lie
    forget        marker "forgetting" → delete → look → no marker   it was to go: there or not, both are true; where
                                                                    the keyring refuses, it is "written" again
    move aside    copy it to another name → forget                  once more makes the same copy
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from keyring.backend import KeyringBackend

from ...errors import InvalidInputError, StoreCorruptError, StoreUnavailableError
from ..base import REVISION_BYTES, DamagedIdentity, StoredIdentity
from .backends import refusal
from .markers import Marker, Markers, name_of
from .thread import Wanted

T = TypeVar("T")

_OTHER_BACK_END = "unlock the keyring, or log in to the session whose keyring was used before"


class Entries:
    """The entries of one service, each with its marker."""

    def __init__(self, service: str, backend: KeyringBackend, markers: Markers) -> None:
        self._service = service
        self._backend = backend
        self._markers = markers

    def do(self, verb: Callable[["Entries"], T], wanted: Wanted) -> T:
        """Return what the verb returns, run while all others of this machine are kept out."""
        with self._markers.lock(wanted):
            return verb(self)

    def load(self, account: str) -> StoredIdentity | None:
        marker = self._markers.read(account)
        text = self._get(name_of(account))
        if text is None:
            self._check_absence(account, marker)
            return None
        record = read_text(account, text)
        if marker is not None and not marker.allows(record):
            msg = (
                "the keyring holds another record of the account than was written last; it was kept:"
                f" {_OTHER_BACK_END}; if it is right, as after a restored backup, delete {self._markers.path(account)}"
            )
            raise StoreUnavailableError(msg)
        settled = Marker.written(account, record)
        if marker != settled:
            self._markers.write(settled)
        return record

    def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        return self.load(account) or self._write(account, None, record)

    def replace(self, account: str, expected: StoredIdentity | None, new: StoredIdentity) -> StoredIdentity | None:
        found = self.load(account)
        return self._write(account, found, new) if _revision(found) == _revision(expected) else found

    def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        try:
            found = self.load(account)
        except StoreCorruptError as error:
            if not isinstance(expected, DamagedIdentity) or error.revision != expected.revision:
                raise
            self._move_aside(account, None)
            return None
        if found is None or isinstance(expected, DamagedIdentity) or found.revision != _revision(expected):
            return found
        self._delete(account, found)
        return None

    def set_aside(self, account: str, expected: StoredIdentity) -> StoredIdentity | None:
        found = self.load(account)
        if found is None or found.revision != expected.revision:
            return found
        self._move_aside(account, found)
        return None

    def accounts(self) -> tuple[str, ...]:
        markers = self._markers.read_all()
        return tuple(self._account(marker) for marker in markers if not marker.allows_absence or self._is_there(marker))

    def _account(self, marker: Marker) -> str:
        if marker.account is not None:
            return marker.account
        msg = f"the name of an account can't be read from its marker in {self._markers.folder}; it was kept"
        raise StoreCorruptError(msg)

    def _is_there(self, marker: Marker) -> bool:
        return self._get(name_of(self._account(marker))) is not None

    def _check_absence(self, account: str, marker: Marker | None) -> None:
        if marker is None or marker.allows_absence:
            return
        msg = (
            "the keyring says that there is no record of the account, and one was written:"
            f" {_OTHER_BACK_END}; if it was deleted on purpose, delete {self._markers.path(account)}"
        )
        raise StoreUnavailableError(msg)

    def _write(self, account: str, found: StoredIdentity | None, new: StoredIdentity) -> StoredIdentity:
        self._markers.write(Marker.writing(account, new, found))
        self._set(name_of(account), write_text(account, new))
        self._markers.write(Marker.written(account, new))
        return new

    def _move_aside(self, account: str, record: StoredIdentity | None) -> None:
        text = self._get(name_of(account))
        if text is not None:
            self._set(f"{name_of(account)}.aside.{_digest(text).hex()}", text)
        self._delete(account, record)

    def _delete(self, account: str, record: StoredIdentity | None) -> None:
        revision = None if record is None else record.revision.hex()
        self._markers.write(Marker(account=account, doing="forgetting", revision=revision))
        try:
            self._ask(self._backend.delete_password, name_of(account))
            self._check_deleted(account)
        except StoreUnavailableError:
            # The caller is told that it failed, and goes on as before: from now on "not found" is a lie again.
            self._markers.write(Marker(account=account, doing="written", revision=revision))
            raise
        self._markers.remove(account)

    def _check_deleted(self, account: str) -> None:
        if self._get(name_of(account)) is not None:
            msg = "the keyring still holds the record that it said it had deleted: try again"
            raise StoreUnavailableError(msg)

    def _set(self, name: str, text: str) -> None:
        self._ask(self._backend.set_password, name, text)
        if self._get(name) != text:
            msg = f"the keyring did not keep what was written to it: {_OTHER_BACK_END}, or use another store"
            raise StoreUnavailableError(msg)

    def _get(self, name: str) -> str | None:
        text: object = self._ask(self._read, name)
        if text is None or isinstance(text, str):
            return text
        msg = f"the keyring answered with {type(text).__name__} in place of a text; what it holds was kept"
        raise StoreUnavailableError(msg)

    def _read(self, service: str, name: str) -> str | None:
        try:
            return self._backend.get_password(service, name)
        except UnicodeDecodeError as error:
            return error.object.decode(errors="backslashreplace")  # damage, which can still be told and moved aside

    def _ask(self, call: Callable[..., T], *arguments: str) -> T:
        try:
            return call(self._service, *arguments)
        except BaseException as error:  # noqa: BLE001 - whatever somebody else's back-end raises
            refused = refusal(error)
        raise refused


def write_text(account: str, record: StoredIdentity) -> str:
    """Return a record as the keyring holds it: JSON with a checksum, over the account as well."""
    fields = {
        "state": record.state,
        "secret": record.secret.reveal(),
        "user_id": record.user_id,
        "revision": record.revision.hex(),
        "changed_at": record.changed_at,
    }
    checksum = hashlib.sha256(json.dumps([account, fields]).encode()).hexdigest()
    return json.dumps({"record": fields, "checksum": checksum})


def read_text(account: str, text: str) -> StoredIdentity:
    """Return the record of a text that is, to the letter, what was written.

    Raises:
        StoreCorruptError: It is not.
    """
    with suppress(ValueError, TypeError, KeyError, RecursionError, InvalidInputError):
        fields = json.loads(text)["record"]
        state, secret, user_id, changed_at = (fields[name] for name in ("state", "secret", "user_id", "changed_at"))
        record = StoredIdentity.read(state, secret, user_id, bytes.fromhex(fields["revision"]), changed_at)
        if write_text(account, record) == text:
            return record
    msg = "the record of the account can't be read; it was kept: `start_over()` moves it aside"
    raise StoreCorruptError(msg, revision=_digest(text))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=REVISION_BYTES).digest()


def _revision(record: StoredIdentity | DamagedIdentity | None) -> bytes | None:
    return None if record is None else record.revision
