"""The partner's own table of accounts: which anonymousId belongs to which account (guide, steps 2 and 3).

Both products share it, as they would share the partner's account service.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from mimi_async import AnonymousId

_T = TypeVar("_T")

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS accounts (account TEXT PRIMARY KEY, mimi_anonymous_id TEXT)",
    """CREATE TABLE IF NOT EXISTS ids_set_aside (account TEXT, mimi_anonymous_id TEXT, set_aside_at REAL,
       PRIMARY KEY (account, mimi_anonymous_id))""",
)
_KNOWN = "SELECT mimi_anonymous_id FROM accounts WHERE account = ?"
_KEEP = """INSERT INTO accounts VALUES (:account, :id) ON CONFLICT (account)
           DO UPDATE SET mimi_anonymous_id = :id WHERE mimi_anonymous_id IS NOT :id"""
_DROP = "UPDATE accounts SET mimi_anonymous_id = NULL WHERE account = :account AND mimi_anonymous_id = :id"
_SET_ASIDE = "INSERT INTO ids_set_aside VALUES (:account, :id, :now) ON CONFLICT DO NOTHING"
_SET_OTHER_ASIDE = """INSERT INTO ids_set_aside SELECT account, mimi_anonymous_id, :now FROM accounts
                      WHERE account = :account AND mimi_anonymous_id IS NOT :id AND mimi_anonymous_id IS NOT NULL
                      ON CONFLICT DO NOTHING"""
_ASIDE = "SELECT mimi_anonymous_id FROM ids_set_aside WHERE account = ? ORDER BY set_aside_at, rowid"
_NOT_ASIDE = "DELETE FROM ids_set_aside WHERE account = :account AND mimi_anonymous_id = :id"
_FILL = "UPDATE accounts SET mimi_anonymous_id = :id WHERE account = :account AND mimi_anonymous_id IS NULL"


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

        return await self.run(read)

    async def keep(self, account: str, anonymous_id: AnonymousId) -> None:
        """Keep an id with an account. Another one that was kept until now is set aside: it is a profile, too."""
        await self._change(account, anonymous_id, _SET_OTHER_ASIDE, _KEEP, _NOT_ASIDE)

    async def drop(self, account: str, anonymous_id: AnonymousId) -> None:
        """Drop an erased id, wherever it is, and no other that the account may have got meanwhile."""
        await self._change(account, anonymous_id, _DROP, _NOT_ASIDE)

    # For `start_over`: an id that the server does not know opens nothing today, and perhaps a profile tomorrow --------

    async def set_aside(self, account: str, anonymous_id: AnonymousId) -> None:
        """Keep an id for the support alone: `known_id` no longer gives it. Another id of the account stays."""
        await self._change(account, anonymous_id, _SET_ASIDE, _DROP)

    async def bring_back(self, account: str, anonymous_id: AnonymousId) -> None:
        """Undo `set_aside`; where the account has got another id meanwhile, this one stays set aside."""
        await self._change(account, anonymous_id, _FILL, f"{_NOT_ASIDE} AND changes() = 1")

    async def ids_set_aside(self, account: str) -> list[AnonymousId]:
        """Return the ids that were set aside, the oldest first."""
        return await self.run(lambda table: [AnonymousId(row[0]) for row in table.execute(_ASIDE, (account,))])

    async def _change(self, account: str, anonymous_id: AnonymousId, *statements: str) -> None:
        values = {"account": account, "id": anonymous_id.reveal(), "now": time.time()}

        def write(table: sqlite3.Connection) -> None:
            for statement in statements:
                table.execute(statement, values)

        await self.run(write)

    async def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run a transaction in a thread, with a connection of its own, so that the event loop is never blocked."""
        return await asyncio.to_thread(self._run_here, work)

    def _run_here(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        self._path.touch(mode=0o600)
        with closing(sqlite3.connect(self._path, timeout=5)) as table, table:
            for statement in _SCHEMA:
                table.execute(statement)
            return work(table)
