"""A store that encrypts the records of another store: without the keys, a copy of that store reveals no id."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Final, NoReturn, Self

import attrs
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ..builtin_types import as_builtin
from ..errors import ConfigurationError, StoreCorruptError
from ..secret import SealedSecret, Secret
from .base import SEALED, Change, DamagedIdentity, IdentityStore, StoredIdentity
from .copying import batches

_FORMAT: Final = "mimi_async sealed identity, 1"

_UNSEALED = (
    "the record of the account is not sealed, as all records beneath a SealedStore are; it was kept: copy plain records"
    " through a SealedStore into another store, and restore a backup if it was sealed; `start_over()` moves it to the"
    " quarantine"
)
_UNOPENED = (
    "the record of the account can't be opened: a key is missing, or it is damaged; it was kept: give SealedStore every"
    " key that was ever used; if that does not help, `start_over()` moves the record to the quarantine, unchanged"
)
_MISPLACED = (
    "the secret in the record of the account was sealed for another record: another account, state, user or"
    " revision; it was kept: restore a backup; `start_over()` moves it to the quarantine"
)


class SealedStore(IdentityStore):
    """A store over another store, with encrypted secrets (Fernet: AES-128-CBC and HMAC-SHA-256).

    The account, the state, the user's id and the revision stay readable, and are sealed together with the secret: a
    record that was copied to another account, or altered, is a `StoreCorruptError`, as is a record that no key opens,
    or that is not sealed. An older record of the same account that was restored can't be detected.

    Args:
        inner: The store of the sealed records. It is entered and left together with this store. It needs `quarantine`
            for damaged records, and `accounts` for `rotate`.
        keys: Fernet keys: `cryptography.fernet.Fernet.generate_key()` creates one. The first key seals, all keys open.
            Store them apart from the records: without the keys, the users are lost.

    Raises:
        ConfigurationError: There is no key, or a key is not valid. It is not quoted.
    """

    def __init__(self, inner: IdentityStore, keys: Sequence[str | bytes]) -> None:
        is_list = isinstance(keys, Sequence) and not isinstance(keys, (str, bytes))
        fernets = [_parse_key(key) for key in keys] if is_list else []
        del keys  # some logs show the locals of a traceback
        self._inner = inner
        self._keys = _validate_keys(fernets)

    def __repr__(self) -> str:
        return f"SealedStore({self._inner!r})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        msg = "the keys of a SealedStore are not pickled: create a SealedStore where it is used"
        raise TypeError(msg)

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._inner.__aexit__(*exc_info)

    async def load(self, account: str) -> StoredIdentity | None:
        return self._open(account, await self._inner.load(account))

    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        sealed = self._seal(account, record)
        winner = await self._inner.claim(account, sealed)
        return record if winner == sealed else self._read(account, winner)

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        sealed = self._seal(account, new)
        found = await self._inner.replace(account, expected, sealed)
        return new if found == sealed else self._open(account, found)

    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        found = await self._inner.forget(account, expected)
        if found is None:
            return None
        try:
            return self._read(account, found)
        except StoreCorruptError:
            if not isinstance(expected, DamagedIdentity) or expected.revision != found.revision:
                raise
        return await self.quarantine(account, found)  # the inner store sees no damage, and would not quarantine it

    async def quarantine(self, account: str, expected: StoredIdentity) -> StoredIdentity | None:
        return self._open(account, await self._inner.quarantine(account, expected))

    def changes(self) -> AsyncIterator[Change]:
        return self._inner.changes()

    def accounts(self) -> AsyncIterator[str]:
        return self._inner.accounts()

    async def rotate(self) -> int:
        """Seal again, by the first key, the records that another key has sealed; return the number of these records.

        To change the key: give all processes `[old, new]`, then all of them `[new, old]`, then rotate in one process,
        and remove the old key once that has succeeded: no record needs it then. The quarantine is not sealed again:
        keep the old key as long as a record in the quarantine may need it.

        It may run beside services, and be interrupted and run again. A record keeps its revision, so that the
        operations of other processes are not disturbed; a record that changes during the rotation is read again, and
        never overwritten.

        Raises:
            StoreCorruptError: Some records can't be opened. They were kept unchanged, all others are sealed by the
                first key: keep the old keys.
            ConfigurationError: The inner store can't list its accounts.
            StoreUnavailableError: The inner store did not answer; the records that were sealed again stay so.
        """
        rotated = unopened = 0
        async for accounts in batches(self._inner.accounts()):
            for outcome in await asyncio.gather(*map(self._rotate_record, accounts), return_exceptions=True):
                if isinstance(outcome, StoreCorruptError):
                    unopened += 1
                elif isinstance(outcome, BaseException):
                    raise outcome
                else:
                    rotated += outcome
        if unopened:
            msg = f"{unopened} records can't be opened, and were kept; {rotated} were sealed again: keep all keys"
            raise StoreCorruptError(msg)
        return rotated

    async def _rotate_record(self, account: str) -> bool:
        """Seal the record by the first key; return False if it was already, or is gone."""
        found = await self._inner.load(account)
        while found is not None:
            record = self._read(account, found)
            if _decrypt(self._keys[:1], found.secret) is not None:
                return False
            sealed = self._seal(account, record)
            found = await self._inner.replace(account, found, sealed)
            if found == sealed:
                return True
        return False

    def _seal(self, account: str, record: StoredIdentity) -> StoredIdentity:
        if isinstance(record.secret, SealedSecret):
            msg = "the record is sealed already; nothing was written: read it through the SealedStore that sealed it"
            raise ConfigurationError(msg)
        token = MultiFernet(self._keys).encrypt(_binding(account, record) + record.secret.reveal().encode())
        return attrs.evolve(record, secret=SealedSecret(SEALED + token.decode()))

    def _open(self, account: str, found: StoredIdentity | None) -> StoredIdentity | None:
        return None if found is None else self._read(account, found)

    def _read(self, account: str, sealed: StoredIdentity) -> StoredIdentity:
        record = _UNSEALED if not isinstance(sealed.secret, SealedSecret) else self._unseal(account, sealed)
        if isinstance(record, str):
            raise StoreCorruptError(record, revision=sealed.revision)
        return record

    def _unseal(self, account: str, sealed: StoredIdentity) -> StoredIdentity | str:
        """Return the record, or a message: the frame that raises it holds no secret."""
        content = _decrypt(self._keys, sealed.secret)
        if content is None:
            return _UNOPENED
        binding = _binding(account, sealed)
        if content.startswith(binding):
            with suppress(ValueError):
                secret = content.removeprefix(binding).decode()
                return StoredIdentity.read(sealed.state, secret, sealed.user_id, sealed.revision, sealed.changed_at)
        return _MISPLACED


def _decrypt(keys: list[Fernet], secret: Secret) -> bytes | None:
    with suppress(InvalidToken):
        return MultiFernet(keys).decrypt(secret.reveal().removeprefix(SEALED))
    return None


def _binding(account: str, record: StoredIdentity) -> bytes:
    """Return the 32 bytes that bind a secret to its record."""
    tied = [_FORMAT, account, record.state, record.user_id, record.revision.hex()]
    return hashlib.sha256(json.dumps(tied).encode()).digest()


def _parse_key(key: str | bytes) -> Fernet | None:
    with suppress(ValueError, TypeError):
        return Fernet(as_builtin(key))
    return None


def _validate_keys(fernets: list[Fernet | None]) -> list[Fernet]:
    good = [fernet for fernet in fernets if fernet is not None]
    if not good or len(good) < len(fernets):
        flaw = f"key {fernets.index(None) + 1} is not valid" if fernets else "there is none"
        msg = f"a SealedStore needs a list of Fernet keys, and {flaw}: `Fernet.generate_key()` creates one"
        raise ConfigurationError(msg)
    return good
