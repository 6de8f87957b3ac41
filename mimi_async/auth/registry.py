"""The controllers of a core: one for each account, never two while there is a reference to one."""

import weakref
from collections import OrderedDict
from collections.abc import Iterator

from ..errors import MimiError
from ..stores.base import account_digest
from .context import ControllerContext
from .controller import AuthController


class ControllerRegistry:
    """Creates the controllers of accounts, and evicts the least recently used ones without other references.

    Args:
        context: What they share.
        default: The controller of the app's own account, which is never evicted.
        max_idle: How many controllers without other references stay restored.
        by_digest: Whether they can be found by the digests of their accounts, which costs each of them some memory.
    """

    def __init__(
        self, context: ControllerContext, default: AuthController | None, max_idle: int, *, by_digest: bool
    ) -> None:
        self.default: AuthController | None = default
        self._context = context
        self._max_idle = max_idle
        self._idle: OrderedDict[str, AuthController] = OrderedDict()
        self._evicted: weakref.WeakValueDictionary[str, AuthController] = weakref.WeakValueDictionary()
        self._by_digest: weakref.WeakValueDictionary[bytes, AuthController] | None = None
        if by_digest:
            self._by_digest = weakref.WeakValueDictionary()
            if default is not None:
                self._by_digest[account_digest(default.account)] = default

    def __iter__(self) -> Iterator[AuthController]:
        """Yield all that are alive; a controller may come twice."""
        return iter((*self._idle.values(), *self._evicted.values(), *([self.default] if self.default else [])))

    def get_or_create(self, account: str) -> AuthController:
        """Return the controller of an account; create it where there is none."""
        if self.default is not None and account == self.default.account:
            return self.default
        auth = self.get(account)
        if auth is None:
            auth = self._idle[account] = self._evicted.get(account) or self._create(account)
            if len(self._idle) > self._max_idle:
                oldest, evicted = self._idle.popitem(last=False)
                self._evicted[oldest] = evicted
        return auth

    def get(self, account: str) -> AuthController | None:
        """Return the controller of an account that was used lately, and count a use; None for the app's own account."""
        auth = self._idle.get(account) if type(account) is str else None  # a subclass may equal any key
        if auth is not None:
            self._idle.move_to_end(account)
        return auth

    def by_digest(self, digest: bytes) -> AuthController | None:
        """Return the controller of the account with this digest if it is alive, and count no use."""
        return None if self._by_digest is None else self._by_digest.get(digest)

    def shut_gates(self, cause: MimiError) -> None:
        """Shut the gates of all controllers that are alive."""
        for auth in self:
            auth.gate.shut(cause)

    def digests(self) -> list[bytes]:
        """Return the digests of the accounts whose controllers are alive, without a reference to a controller."""
        return [] if self._by_digest is None else list(self._by_digest.keys())

    def _create(self, account: str) -> AuthController:
        auth = AuthController(account, self._context)
        if self._by_digest is not None:
            self._by_digest[account_digest(account)] = auth
        return auth
