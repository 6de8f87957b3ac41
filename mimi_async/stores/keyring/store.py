"""`KeyringStore`: a `SealedStore` over a `SQLiteStore`, with its key from the operating system's keyring."""

import asyncio
import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Self

import platformdirs
from keyring.backend import KeyringBackend

from ...databases.affinity import LoopAffinity, not_open
from ...databases.dsn import validate_name
from ...errors import ConfigurationError, StoreUnavailableError
from ..base import DamagedIdentity, IdentityStore, StoredIdentity
from ..sealed import SealedStore
from ..sqlite import SQLiteStore
from .backends import KeyringThread, choose_backend
from .keys import KeyEntries, SealingKey, claim_fingerprint, find_fingerprint


class KeyringStore(IdentityStore):
    """Keeps the records in a SQLite file, sealed with a random key that the operating system's keyring holds.

    For an app on a person's own device. The first opening creates the key; the file names it by its fingerprint. The
    keyring is asked when the store is entered, not for each record. A keyring that is locked, hangs, fails, or does not
    hold the key of the file is a `StoreUnavailableError` with the remedy, never "nothing stored". A keyring that stores
    plain text, or nothing, is refused. Any number of processes of one user may share the file.

        store = KeyringStore("com.example.player")

    Args:
        service: The name of the service in the keyring.
        path: The file, best as an absolute path. None: `ids.sqlite3` in a folder of the service in the user's data
            folder, as `platformdirs` names it (~/.local/share on Linux, ~/Library/Application Support on macOS); that
            folder is created where it is missing. Rules and log line of a new file: see `SQLiteStore`.
        backend: The keyring. None: what `keyring.get_keyring()` returns. It is used in a thread.
        timeout: Seconds that a call of the keyring may take. A keyring may ask its user for a password.
        create_folder: Create the folder of the file where it is missing.
        must_exist: Create no file: a missing one is a `StoreUnavailableError`.

    Raises:
        ConfigurationError: `service`, `timeout` or `path` is not valid, or nearly right: with a blank at its end, for
            example.
    """

    def __init__(
        self,
        service: str,
        *,
        path: str | os.PathLike[str] | None = None,
        backend: KeyringBackend | None = None,
        timeout: float = 10.0,
        create_folder: bool = False,
        must_exist: bool = False,
    ) -> None:
        if not service or not timeout > 0:
            msg = "a KeyringStore has a service, which is a text, and a timeout of more than 0 seconds"
            raise ConfigurationError(msg)
        validate_name(service, "the service of the KeyringStore")
        self._service = service
        self._is_default_path = path is None
        self._file = SQLiteStore(
            _default_path(service) if path is None else path,
            create_folder=create_folder or (path is None and not must_exist),
            must_exist=must_exist,
        )
        self._backend = backend
        self._thread = KeyringThread(timeout)
        self._affinity = LoopAffinity(f"the keyring store {service!r}")
        self._opening = asyncio.Lock()
        self._entries: KeyEntries | None = None
        self._unclaimed_key: SealingKey | None = None
        self._key: SealingKey | None = None
        self._records: SealedStore | None = None

    @property
    def path(self) -> Path:
        """The file, which is created when the store is entered for the first time."""
        return self._file.path

    def __repr__(self) -> str:
        return f"KeyringStore({self._service!r}, path={str(self.path)!r})"

    async def __aenter__(self) -> Self:
        if self._affinity.enter():
            self._opening, self._records = asyncio.Lock(), None
        try:
            async with self._opening:
                await self._open()
        except BaseException:
            self._affinity.leave()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._affinity.leave():
            self._records = None
        await self._file.__aexit__(*exc_info)

    async def load(self, account: str) -> StoredIdentity | None:
        return await self._sealed().load(account)

    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        return await self._sealed().claim(account, record)

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        return await self._sealed().replace(account, expected, new)

    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        return await self._sealed().forget(account, expected)

    async def quarantine(self, account: str, expected: StoredIdentity) -> StoredIdentity | None:
        return await self._sealed().quarantine(account, expected)

    async def accounts(self) -> AsyncIterator[str]:
        async for account in self._sealed().accounts():
            yield account

    def _sealed(self) -> SealedStore:
        if self._records is None:
            raise not_open(self._affinity.what)
        return self._records

    async def _open(self) -> None:
        """Choose the keyring before the file is created: without a keyring there is no file."""
        if self._entries is None:
            self._entries = await self._thread.run(self._choose_entries)
        await self._file.__aenter__()
        try:
            if self._records is None:
                self._key = await self._find_key(self._entries)
                self._records = SealedStore(self._file, [self._key.reveal()])
        except BaseException:
            await self._file.__aexit__(None, None, None)
            raise

    def _choose_entries(self) -> KeyEntries:
        home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where there is none
        if self._is_default_path and self.path.is_relative_to(home) and not Path(home).is_dir():
            msg = f"the home folder {home} is missing: mount its disk, or name the path of the KeyringStore"
            raise ConfigurationError(msg)
        return KeyEntries(self._service, choose_backend(self._backend))

    async def _find_key(self, entries: KeyEntries) -> SealingKey:
        fingerprint = await self._file.database.read(find_fingerprint)
        if fingerprint is None:
            fingerprint = await self._create_key(entries)
        elif self._key is not None and self._key.fingerprint == fingerprint:
            return self._key
        key = await self._thread.run(partial(entries.read, fingerprint))
        if key is None:
            msg = (
                f"the keyring does not hold the key {fingerprint} of the identity store {self.path}; the records were"
                " kept: unlock the keyring, log in as the user and to the session that used it before, or restore the"
                " keyring's backup; only if the key is lost for good, move the file away, and each account gets a new"
                " user"
            )
            raise StoreUnavailableError(msg)
        return key

    async def _create_key(self, entries: KeyEntries) -> str:
        """Create the key of the file unless another process was first; return the fingerprint of the file's key.

        The key is in the keyring before the file names it. After a failure the same key is written again.
        """
        key = self._unclaimed_key = self._unclaimed_key or SealingKey.generate()
        await self._thread.run(partial(entries.write, key))
        fingerprint = await self._file.database.write(partial(claim_fingerprint, key.fingerprint))
        if fingerprint != key.fingerprint:
            await self._thread.run(partial(entries.delete, key))
        self._unclaimed_key = None
        return fingerprint


def _default_path(service: str) -> Path:
    """Return the file of a service in the user's data folder.

    Raises:
        ConfigurationError: The service is not the name of a folder.
    """
    if "/" in service or service in (".", ".."):
        msg = "the service of the KeyringStore is not the name of a folder: name its file by `path`"
        raise ConfigurationError(msg)
    return platformdirs.user_data_path(service, appauthor=False) / "ids.sqlite3"
