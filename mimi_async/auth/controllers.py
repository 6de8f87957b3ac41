"""The controllers of a core: one for each account, never two while somebody holds one."""

import weakref
from collections import OrderedDict
from collections.abc import Iterator

from ..stores.base import account_digest
from .actor import Shared
from .controller import AuthController


class Controllers:
    """Makes the controllers of accounts, and drops the least recently used ones that nobody holds.

    Args:
        shared: What they share.
        own: The controller of the app's own account, which is never dropped.
        keep: How many that nobody holds stay restored.
        by_digest: Whether they can be found by the digests of their accounts, which costs each of them some memory.
    """

    def __init__(self, shared: Shared, own: AuthController | None, keep: int, *, by_digest: bool) -> None:
        self.own = own
        self._shared = shared
        self._keep = keep
        self._idle: OrderedDict[str, AuthController] = OrderedDict()
        self._held: weakref.WeakValueDictionary[str, AuthController] = weakref.WeakValueDictionary()
        self._by_digest: weakref.WeakValueDictionary[bytes, AuthController] | None = None
        if by_digest:
            self._by_digest = weakref.WeakValueDictionary()
            if own is not None:
                self._by_digest[account_digest(own.account)] = own

    def __iter__(self) -> Iterator[AuthController]:
        """Yield all that are alive; one may come twice."""
        return iter((*self._idle.values(), *self._held.values(), *([self.own] if self.own else [])))

    def of(self, account: str) -> AuthController:
        """Return the controller of an account, made anew where there is none."""
        if self.own is not None and account == self.own.account:
            return self.own
        auth = self.recent(account)
        if auth is None:
            auth = self._idle[account] = self._held.get(account) or self._made(account)
            if len(self._idle) > self._keep:
                oldest, dropped = self._idle.popitem(last=False)
                self._held[oldest] = dropped
        return auth

    def recent(self, account: str) -> AuthController | None:
        """Return the controller of an account that was used lately, which counts as a use; None for the app's own."""
        auth = self._idle.get(account)
        if auth is not None:
            self._idle.move_to_end(account)
        return auth

    def find(self, digest: bytes) -> AuthController | None:
        """Return the controller of the account with this digest if it is alive, which is no use of it."""
        return None if self._by_digest is None else self._by_digest.get(digest)

    def digests(self) -> list[bytes]:
        """Return the digests of the accounts whose controllers are alive; the list keeps none of them so."""
        return [] if self._by_digest is None else list(self._by_digest.keys())

    def _made(self, account: str) -> AuthController:
        auth = AuthController(account, self._shared)
        if self._by_digest is not None:
            self._by_digest[account_digest(account)] = auth
        return auth
