"""The partner's own table of accounts: which anonymousId belongs to which account (guide, steps 2 and 3).

Both products share it, as they would share the partner's account service.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from mimi_async import AnonymousId

_T = TypeVar("_T")

_SCHEMA = "CREATE TABLE IF NOT EXISTS accounts (account TEXT PRIMARY KEY, mimi_anonymous_id TEXT)"
_KNOWN = "SELECT mimi_anonymous_id FROM accounts WHERE account = ?"
_KEEP = """INSERT INTO accounts VALUES (:account, :id) ON CONFLICT (account)
           DO UPDATE SET mimi_anonymous_id = :id WHERE mimi_anonymous_id IS NOT :id"""
_DROP = "UPDATE accounts SET mimi_anonymous_id = NULL WHERE account = :account AND mimi_anonymous_id = :id"


class Accounts:
    """Keeps the ids with the accounts. Each verb may be called again at any time: a second call changes nothing.

    An anonymousId opens a hearing profile: keep it like a password. Here the file is readable by its owner alone; a
    partner would encrypt the column, too.

    Args:
        path: The SQLite file; made when it is first used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def known_id(self, account: str) -> AnonymousId | None:
        """Return the id that is kept with an account; `MimiCore(known_id=…)` asks this.

        It must raise where it can't tell: None means that this account has none.
        """

        def read(table: sqlite3.Connection) -> AnonymousId | None:
            row = table.execute(_KNOWN, (account,)).fetchone()
            return None if row is None or row[0] is None else AnonymousId(row[0])

        return await self._run(read)

    async def keep(self, account: str, anonymous_id: AnonymousId) -> None:
        """Keep an id with an account."""
        await self._change(_KEEP, account, anonymous_id)

    async def drop(self, account: str, anonymous_id: AnonymousId) -> None:
        """Drop this id, and no other that the account may have got meanwhile from another product."""
        await self._change(_DROP, account, anonymous_id)

    async def _change(self, statement: str, account: str, anonymous_id: AnonymousId) -> None:
        def write(table: sqlite3.Connection) -> None:
            table.execute(statement, {"account": account, "id": anonymous_id.reveal()})

        await self._run(write)

    async def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run a transaction in a thread, with a connection of its own, so that the event loop is never blocked."""
        return await asyncio.to_thread(self._run_here, work)

    def _run_here(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        self._path.touch(mode=0o600)
        with closing(sqlite3.connect(self._path, timeout=5)) as table, table:
            table.execute(_SCHEMA)
            return work(table)
