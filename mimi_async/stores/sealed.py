"""Sealed records in any store: who reads that store, or a backup of it, without the keys learns no id."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Final, NoReturn, Self

import attrs
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ..errors import ConfigurationError, StoreCorruptError
from ..identity import SealedSecret
from .base import SEALED, Change, DamagedIdentity, IdentityStore, StoredIdentity
from .copying import batches

_FORMAT: Final = "mimi_async sealed identity, 1"

_UNSEALED = (
    "the record of the account is not sealed, as all records beneath a SealedStore are; it was kept: copy plain records"
    " through a SealedStore into another store, and restore a backup if it was sealed; `start_over()` moves it aside"
)
_UNOPENED = (
    "the record of the account can't be opened: a key is missing, or it is damaged; it was kept: give SealedStore every"
    " key that ever sealed, and only if that is not it, `start_over()` moves the record aside, as it is"
)
_MISPLACED = (
    "what is sealed in the record of the account was sealed for another record: another account, state, user or"
    " revision; it was kept: restore a backup; `start_over()` moves it aside"
)


class SealedStore(IdentityStore):
    """Keeps records in another store and encrypts their secrets on the way (Fernet: AES-128-CBC and HMAC-SHA-256).

    The account, the state, the user's id and the revision stay readable, and are sealed together with the secret: a
    record that was copied to another account, or altered, is a `StoreCorruptError`, as is one that no key opens, and
    one that is not sealed. An older record of the same account that somebody puts back can't be told.

    Args:
        inner: Where the records are kept. It is entered and left together with this store. To move damage aside it
            must have `set_aside`, to rotate `accounts`.
        keys: Fernet keys: `cryptography.fernet.Fernet.generate_key()` makes one. The first seals, all of them open.
            They belong in another place than the records: who has lost them has lost the users.

    Raises:
        ConfigurationError: There is no key, or one that is none. It is not quoted.
    """

    def __init__(self, inner: IdentityStore, keys: Sequence[str | bytes]) -> None:
        fernets = [_fernet(key) for key in keys] if _is_list(keys) else []
        del keys  # there are logs that show the locals of a traceback
        self._inner = inner
        self._keys = _Keys(_checked(fernets))

    def __repr__(self) -> str:
        return f"SealedStore({self._inner!r})"

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._inner.__aexit__(*exc_info)

    async def load(self, account: str) -> StoredIdentity | None:
        return self._opened(account, await self._inner.load(account))

    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        sealed = self._sealed(account, record)
        winner = await self._inner.claim(account, sealed)
        return record if winner == sealed else self._read(account, winner)

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        sealed = self._sealed(account, new)
        found = await self._inner.replace(account, expected, sealed)
        return new if found == sealed else self._opened(account, found)

    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        found = await self._inner.forget(account, expected)
        if found is None:
            return None
        try:
            return self._read(account, found)
        except StoreCorruptError:
            if not isinstance(expected, DamagedIdentity) or expected.revision != found.revision:
                raise
        return await self.set_aside(account, found)  # the inner store sees no damage, and would not move it by itself

    async def set_aside(self, account: str, expected: StoredIdentity) -> StoredIdentity | None:
        return self._opened(account, await self._inner.set_aside(account, expected))

    def changes(self) -> AsyncIterator[Change]:
        return self._inner.changes()

    def accounts(self) -> AsyncIterator[str]:
        return self._inner.accounts()

    async def rotate(self) -> int:
        """Seal anew, by the first key, what another key has sealed; return how many records that were.

        To change the key: give all processes `[old, new]`, then all of them `[new, old]`, then rotate in one of them,
        and leave the old key out once that has ended well: then no record needs it any more. What was set aside is not
        sealed anew: keep the old key somewhere as long as a row in `set_aside` may be sealed by it.

        It may run while services do, and be cut off and run again. A record keeps its revision, so that nobody who
        holds it is disturbed; one that somebody changes meanwhile is read again, and never written over.

        Raises:
            StoreCorruptError: Some records can't be opened. They were kept as they are, all others are sealed by the
                first key: keep the old keys.
            ConfigurationError: The inner store can't list its accounts.
            StoreUnavailableError: The inner store did not answer; what was sealed anew stays so.
        """
        rotated = unopened = 0
        async for accounts in batches(self._inner.accounts()):
            for outcome in await asyncio.gather(*map(self._is_rotated, accounts), return_exceptions=True):
                if isinstance(outcome, StoreCorruptError):
                    unopened += 1
                elif isinstance(outcome, BaseException):
                    raise outcome
                else:
                    rotated += outcome
        if unopened:
            msg = f"{unopened} records can't be opened, and were kept; {rotated} others were sealed anew: keep all keys"
            raise StoreCorruptError(msg)
        return rotated

    async def _is_rotated(self, account: str) -> bool:
        """Seal the record by the first key; return False if it is already, or is gone."""
        found = await self._inner.load(account)
        while found is not None:
            record = self._read(account, found)
            if self._keys.have_first_sealed(found.secret.reveal()):
                return False
            sealed = self._sealed(account, record)
            found = await self._inner.replace(account, found, sealed)
            if found == sealed:
                return True
        return False

    def _sealed(self, account: str, record: StoredIdentity) -> StoredIdentity:
        if isinstance(record.secret, SealedSecret):
            msg = "the record is sealed already; nothing was written: read it through the SealedStore that sealed it"
            raise ConfigurationError(msg)
        text = self._keys.seal(_binding(account, record) + record.secret.reveal().encode())
        return attrs.evolve(record, secret=SealedSecret(text))

    def _opened(self, account: str, found: StoredIdentity | None) -> StoredIdentity | None:
        return None if found is None else self._read(account, found)

    def _read(self, account: str, sealed: StoredIdentity) -> StoredIdentity:
        record = _UNSEALED if not isinstance(sealed.secret, SealedSecret) else self._unsealed(account, sealed)
        if isinstance(record, str):
            raise StoreCorruptError(record, revision=sealed.revision)
        return record

    def _unsealed(self, account: str, sealed: StoredIdentity) -> StoredIdentity | str:
        """Return the record, or what is wrong: whoever raises that has seen no secret."""
        content = self._keys.open(sealed.secret.reveal())
        if content is None:
            return _UNOPENED
        binding = _binding(account, sealed)
        if content.startswith(binding):
            with suppress(ValueError):
                secret = content.removeprefix(binding).decode()
                return StoredIdentity.read(sealed.state, secret, sealed.user_id, sealed.revision, sealed.changed_at)
        return _MISPLACED


class _Keys:
    """Seals and opens, and shows no key."""

    __slots__ = ("_all", "_first")

    def __init__(self, fernets: list[Fernet]) -> None:
        self._first = fernets[0]
        self._all = MultiFernet(fernets)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        msg = "the keys of a SealedStore are not pickled: make a SealedStore where it is used"
        raise TypeError(msg)

    def seal(self, content: bytes) -> str:
        return SEALED + self._all.encrypt(content).decode()

    def open(self, text: str) -> bytes | None:
        return _decrypted(self._all, text)

    def have_first_sealed(self, text: str) -> bool:
        return _decrypted(self._first, text) is not None


def _decrypted(keys: Fernet | MultiFernet, text: str) -> bytes | None:
    with suppress(InvalidToken):
        return keys.decrypt(text.removeprefix(SEALED))
    return None


def _binding(account: str, record: StoredIdentity) -> bytes:
    """Return what ties a secret to its record, always 32 bytes."""
    tied = [_FORMAT, account, record.state, record.user_id, record.revision.hex()]
    return hashlib.sha256(json.dumps(tied).encode()).digest()


def _is_list(keys: object) -> bool:
    return isinstance(keys, Sequence) and not isinstance(keys, (str, bytes))


def _fernet(key: str | bytes) -> Fernet | None:
    with suppress(ValueError, TypeError):
        return Fernet(key)
    return None


def _checked(fernets: list[Fernet | None]) -> list[Fernet]:
    good = [fernet for fernet in fernets if fernet is not None]
    if not good or len(good) < len(fernets):
        flaw = f"number {fernets.index(None) + 1} is none" if fernets else "there is none"
        msg = f"a SealedStore needs a list of Fernet keys, and {flaw}: `Fernet.generate_key()` makes one"
        raise ConfigurationError(msg)
    return good
