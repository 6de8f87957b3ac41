"""The store as coroutines see it: every call goes through a thread, and ends by its deadline."""

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Self, TypeVar

from keyring.backend import KeyringBackend

from ...errors import ConfigurationError, StoreUnavailableError
from ...home import Home
from ..base import DamagedIdentity, IdentityStore, StoredIdentity
from .backends import chosen
from .entries import Entries
from .markers import Markers, default_folder
from .thread import Errands, Wanted

T = TypeVar("T")


class KeyringStore(IdentityStore):
    """Keeps the records in the operating system's keyring: for an app on a person's own device, with few accounts.

    A keyring may be locked, ask its user, hang, or be another one in the next session and say "not found". So a marker
    lies beside it for each account: a file of mode 0600 that tells that there is a record, never what is in it. What
    the marker contradicts is a `StoreUnavailableError`; so is every failure, with the remedy. A record is forgotten by
    a tombstone in its place, which is deleted then, or stays where the keyring deletes nothing: there is no secret in
    it. Nothing is ever written to a keyring that is plain text, or none.

    The folder of the markers belongs to the keyring: whoever moves or restores one does so with the other. Where a
    marker is lost, a record that the keyring shows counts, and gets a marker again; "not found" is believed. A marker
    that can't be read says that there is a record. Any number of processes of one machine may share both.

    Args:
        service: Under which the entries stand in the keyring, each named by a digest of its account.
        folder: Where the markers lie, in a folder for each service. A folder that is a link, another user's, or that
            others may write to is refused when the store is entered. None: $XDG_STATE_HOME/mimi_async/keyring, by
            default ~/.local/state/mimi_async/keyring; on macOS below ~/Library/Application Support.
        backend: None: what `keyring.get_keyring()` returns. It is used in a thread.
        timeout: Seconds that a call may take. A call that hangs beyond it holds up those behind it; it goes on, and the
            store answers again when it has ended.

    Raises:
        ConfigurationError: `service` or `timeout` is none.
    """

    def __init__(
        self,
        service: str,
        *,
        folder: str | os.PathLike[str] | None = None,
        backend: KeyringBackend | None = None,
        timeout: float = 10.0,
    ) -> None:
        if not service or not service.isprintable() or not timeout > 0:
            msg = "a KeyringStore has a service, which is a printable text, and a timeout of more than 0 seconds"
            raise ConfigurationError(msg)
        self._service = service
        self._folder = None if folder is None else Path(folder).absolute()
        self._backend = backend
        self._timeout = timeout
        self._home = Home(f"the keyring store {service!r}")
        self._errands = Errands("mimi-keyring")
        self._entries: Entries | None = None

    def __repr__(self) -> str:
        return f"KeyringStore({self._service!r})"

    async def __aenter__(self) -> Self:
        self._home.enter()
        try:
            if self._entries is None:
                self._entries = await self._run(self._opened)
        except BaseException:
            self._home.leave()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if not self._home.leave():
            return
        self._entries = None
        if self._errands.is_busy:
            with suppress(TimeoutError):
                await self._errands.run(lambda _: None, self._timeout)

    async def load(self, account: str) -> StoredIdentity | None:
        return await self._do(lambda entries: entries.load(account))

    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        return await self._do(lambda entries: entries.claim(account, record))

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        return await self._do(lambda entries: entries.replace(account, expected, new))

    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        return await self._do(lambda entries: entries.forget(account, expected))

    async def set_aside(self, account: str, expected: StoredIdentity) -> StoredIdentity | None:
        return await self._do(lambda entries: entries.set_aside(account, expected))

    async def accounts(self) -> AsyncIterator[str]:
        for account in await self._do(Entries.accounts):
            yield account

    def _opened(self, _: Wanted) -> Entries:
        """Run in the thread: the library may ask the system to choose a back-end."""
        folder = self._folder or default_folder()
        markers = Markers(folder / hashlib.sha256(self._service.encode()).hexdigest())
        markers.open()
        return Entries(self._service, chosen(self._backend), markers)

    async def _do(self, verb: Callable[[Entries], T]) -> T:
        self._home.check()
        entries = self._entries
        if entries is None:
            msg = f"the keyring store {self._service!r} is not open"
            raise StoreUnavailableError(msg)
        return await self._run(lambda wanted: entries.do(verb, wanted))

    async def _run(self, work: Callable[[Wanted], T]) -> T:
        try:
            return await self._errands.run(work, self._timeout)
        except TimeoutError:
            msg = (
                f"the keyring did not answer within {self._timeout:g} s, and what was asked may still be done: it may"
                " wait for somebody to unlock it, or another process may hold it; unlock it and try again"
            )
        except OSError as error:
            msg = f"the markers of the keyring store {self._service!r} can't be used: {error.strerror}"
        raise StoreUnavailableError(msg)
