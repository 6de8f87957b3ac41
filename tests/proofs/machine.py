"""Two products of one partner and the partner's table of accounts, with their invariants."""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from functools import partial
from pathlib import Path

from mimi_async import (
    AnonymousId,
    AuthController,
    ClientCredentials,
    ErasedAnonymousIdError,
    MimiCore,
    MimiError,
    MimiUser,
    NotRestoredError,
)
from mimi_async.stores import SQLiteStore
from mimi_async.testing import IdentityServer
from mimi_async.transport import Transport

from ..internals import registry_of
from .test_proxy import Truth

ACCOUNTS = ("ada", "bob", "lone")
LONE = "lone"
"""The account without `known_id`: its host logs in with the id itself, as in the guide, and uses one product only."""

USES: list[Callable[[AuthController], Awaitable[object]]] = [
    lambda auth: auth.update_user(year_of_birth=1980),
    lambda auth: auth.submit_hearing_test(Truth.test(1)),
    AuthController.reload_user,
]
"""Calls that the server answers only where the user is alive."""

FAULTS: list[Callable[..., None]] = [
    IdentityServer.drop_reply,
    IdentityServer.drop_request,
    *(partial(IdentityServer.fail, status=status) for status in (404, 429, 500)),
]
"""Faults of the server for a path."""


class Table:
    """The partner's table: the id of each account, stored as the guide asks, for both products.

    Attributes:
        ids: The stored id of each account.
        uncertain: Accounts whose reset failed: the server may have erased the user.
        is_broken: Whether `known_id` raises.
    """

    def __init__(self) -> None:
        self.ids: dict[str, AnonymousId] = {}
        self.uncertain: set[str] = set()
        self.is_broken = False

    def on_update(
        self, sender: AuthController, *, current: MimiUser | None, old: MimiUser | None, error: MimiError | None
    ) -> None:
        """Store an id, and delete an erased one. A second id for an account with a user is a broken rule."""
        if isinstance(error, ErasedAnonymousIdError):
            if error.anonymous_id in (None, self.ids.get(sender.account)):
                self.ids.pop(sender.account, None)
                self.uncertain.discard(sender.account)
        elif current is not None and error is None:
            kept = self.ids.get(sender.account)
            assert kept in (None, current.anonymous_id) or sender.account in self.uncertain, "one user too many"
            self.ids[sender.account] = current.anonymous_id

    async def known_id(self, account: str) -> AnonymousId | None:
        if self.is_broken:
            msg = "the table does not answer"
            raise OSError(msg)
        return None if account == LONE else self.ids.get(account)


class Product:
    """One product: a core that can be restarted, and a store that can be lost or damaged."""

    def __init__(self, server: IdentityServer, table: Table, file: Path) -> None:
        self.file = file
        self.core: MimiCore
        self._server = server
        self._table = table
        self._credentials: ClientCredentials = server.new_client()
        self._stack = AsyncExitStack()
        self._broken_rules: list[BaseException] = []
        self._last: dict[str, MimiUser | None]

    async def start(self) -> None:
        self._last = defaultdict(lambda: None)
        transport = Transport(self._server.url, self._credentials, sleep=lambda _: asyncio.sleep(0))
        await self._stack.enter_async_context(transport)
        store = SQLiteStore(self.file)
        self.core = MimiCore(send=transport.send, store=store, account=None, known_id=self._table.known_id)
        self.core.observe(self._follow)
        self.core.observe(self._table.on_update)
        self.core.observer_failed.connect(self._note)
        await self._stack.enter_async_context(self.core)

    async def stop(self) -> None:
        await self._stack.aclose()

    async def reinstall(self) -> None:
        """Lose the store."""
        await self.stop()
        for file in self.file.parent.glob(f"{self.file.name}*"):
            file.unlink()
        await self.start()

    def damage(self, account: str) -> None:
        """Damage the record of an account in the file."""
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.execute("UPDATE identities SET secret = 'x' || secret WHERE account = ?", (account,))

    def state(self, account: str) -> str | None:
        """Return the state of the record in the file, or "damaged"."""
        row = self._row(account)
        if row is None:
            return None
        return "damaged" if row[1].startswith("x") else row[0]

    def check(self) -> None:
        """Check that updates broke no rule, and that gate and user follow the record."""
        assert self._broken_rules == []
        for account in ACCOUNTS:
            auth = registry_of(self.core).get(account)
            if auth is not None and self.state(account) != "damaged":
                self._check(auth)

    def _check(self, auth: AuthController) -> None:
        row = self._row(auth.account)
        assert auth.gate.is_open == (auth.gate.cause is None) or not auth.gate.is_decided
        try:
            user = auth.current_user
        except NotRestoredError:
            assert not auth.gate.is_open
            return
        if user is not None:
            assert auth.gate.is_open
            assert row == ("active", user.anonymous_id.reveal())
        elif auth.gate.is_open:
            assert row is None or row[0] == "pending"
        else:
            assert row is not None
            assert row[0] in ("rejected", "erasing")

    def _row(self, account: str) -> tuple[str, str] | None:
        with closing(sqlite3.connect(self.file)) as connection:
            row: tuple[str, str] | None = connection.execute(
                "SELECT state, secret FROM identities WHERE account = ?", (account,)
            ).fetchone()
        return row

    def _note(self, sender: AuthController, *, receiver: object, error: BaseException) -> None:
        self._broken_rules.append(error)

    def _follow(
        self, sender: AuthController, *, current: MimiUser | None, old: MimiUser | None, error: MimiError | None
    ) -> None:
        """Check that updates form a chain, and that each has a change or an error."""
        assert old == self._last[sender.account]
        assert current != old or error is not None or current is not None, "only a user is announced again"
        self._last[sender.account] = current
