"""The verbs of a store over a keyring, in the thread that may hang, while the lock of the markers is held.

Nobody is told of a record before its marker says "written", on the disk; from then on "not found" is a lie. What a kill
between any two steps leaves may be taken for what it looks like:

    first write   marker "writing" → set → read back → "written"    nobody was told of it: there or not, both are true
    overwrite     copy the old record → the same, the marker        the old or the new record is there, or the copy of
                  names both revisions → delete the copy            the old one; neither is a lie
    forget        overwrite by a tombstone, marker "forgetting"     the record, its copy or the tombstone is there, and
                  → "forgotten" → delete → no marker                "not found" is a lie until the tombstone was read
    move aside    copy it to another name → forget                  once more makes the same copy

Some keyrings overwrite an entry by deleting it first, as that of macOS: hence the copy. A tombstone is what the keyring
says of a record that is gone. "Not found" would say the same, and a keyring says it of records that it has, too.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from keyring.backend import KeyringBackend

from ...errors import StoreCorruptError, StoreUnavailableError
from ..base import DamagedIdentity, StoredIdentity
from .backends import refusal
from .markers import Marker, Markers, name_of
from .texts import Tombstone, digest_of, read_text, write_text
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
        is_copy = text is None and marker is not None and marker.is_overwriting
        if is_copy:
            text = self._get(_copy_of(account))
        if text is None:
            self._check_absence(account, marker)
            return None
        found = read_text(account, text)
        if isinstance(found, Tombstone):
            self._check_found(account, marker is None or marker.allows_tombstone(found.revision))
            self._bury(account, found)
            return None
        self._check_found(account, marker is None or marker.allows_record(found.revision))
        settled = Marker.written(account, found.revision)
        if marker != settled:
            if is_copy:
                self._set(name_of(account), text)
            self._markers.write(settled)
        return found

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
            self._move_aside(account, self._damage(account, expected), None)
            return None
        if found is None or isinstance(expected, DamagedIdentity) or found.revision != _revision(expected):
            return found
        self._delete(account, write_text(account, found), found)
        return None

    def set_aside(self, account: str, expected: StoredIdentity) -> StoredIdentity | None:
        found = self.load(account)
        if found is None or found.revision != expected.revision:
            return found
        self._move_aside(account, write_text(account, found), found)
        return None

    def accounts(self) -> tuple[str, ...]:
        markers = self._markers.read_all()
        return tuple(self._account(marker) for marker in markers if marker.doing == "written" or self._is_there(marker))

    def _account(self, marker: Marker) -> str:
        if marker.account is not None:
            return marker.account
        msg = f"the name of an account can't be read from its marker in {self._markers.folder}; it was kept"
        raise StoreCorruptError(msg)

    def _is_there(self, marker: Marker) -> bool:
        account = self._account(marker)
        text = self._get(name_of(account))
        if text is None:
            return not marker.allows_absence
        tombstone = Tombstone.read(account, text)
        return tombstone is None or not marker.allows_tombstone(tombstone.revision)

    def _check_absence(self, account: str, marker: Marker | None) -> None:
        if marker is None or marker.allows_absence:
            return
        msg = (
            "the keyring says that there is no record of the account, and one was written:"
            f" {_OTHER_BACK_END}; if it was deleted on purpose, delete {self._markers.path(account)}"
        )
        raise StoreUnavailableError(msg)

    def _check_found(self, account: str, is_right: bool) -> None:
        if is_right:
            return
        msg = (
            "the keyring holds another record of the account than was written last; it was kept:"
            f" {_OTHER_BACK_END}; if it is right, as after a restored backup, delete {self._markers.path(account)}"
        )
        raise StoreUnavailableError(msg)

    def _write(self, account: str, found: StoredIdentity | None, new: StoredIdentity) -> StoredIdentity:
        if found is not None:
            self._set(_copy_of(account), write_text(account, found))
        self._markers.write(Marker.writing(account, new.revision, _revision(found)))
        self._set(name_of(account), write_text(account, new))
        self._markers.write(Marker.written(account, new.revision))
        if found is not None:
            self._drop(_copy_of(account))
        return new

    def _damage(self, account: str, expected: DamagedIdentity) -> str:
        for name in (name_of(account), _copy_of(account)):
            text = self._get(name)
            if text is not None and digest_of(text) == expected.revision:
                return text
        msg = "the keyring says something else than before of the damaged record: nothing was changed; try again"
        raise StoreUnavailableError(msg)

    def _move_aside(self, account: str, text: str, record: StoredIdentity | None) -> None:
        self._set(f"{name_of(account)}.aside.{digest_of(text).hex()}", text)
        self._delete(account, text, record)

    def _delete(self, account: str, text: str, record: StoredIdentity | None) -> None:
        tombstone = Tombstone()
        self._set(_copy_of(account), text)
        self._markers.write(Marker.forgetting(account, tombstone.revision, _revision(record)))
        self._set(name_of(account), tombstone.write(account))
        self._bury(account, tombstone)

    def _bury(self, account: str, tombstone: Tombstone) -> None:
        """Take away a tombstone that was read. Where the keyring refuses it stays: there is no secret in it."""
        self._markers.write(Marker.forgotten(account, tombstone.revision))
        self._drop(_copy_of(account))
        if self._get(_copy_of(account)) is not None:
            self._set(_copy_of(account), tombstone.write(account))
        if self._drop(name_of(account)):
            self._markers.remove(account)

    def _drop(self, name: str) -> bool:
        """Delete an entry that nobody needs; tell whether the keyring said that it did."""
        with suppress(StoreUnavailableError):
            self._ask(self._backend.delete_password, name)
            return True
        return False

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


def _copy_of(account: str) -> str:
    return f"{name_of(account)}.before"


def _revision(record: StoredIdentity | DamagedIdentity | None) -> bytes | None:
    return None if record is None else record.revision
