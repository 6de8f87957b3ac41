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
    """CREATE TABLE IF NOT EXISTS quarantined_ids (account TEXT, mimi_anonymous_id TEXT, quarantined_at REAL,
       PRIMARY KEY (account, mimi_anonymous_id))""",
)
_SELECT = "SELECT mimi_anonymous_id FROM accounts WHERE account = ?"
_KEEP = """INSERT INTO accounts VALUES (:account, :id) ON CONFLICT (account)
           DO UPDATE SET mimi_anonymous_id = :id WHERE mimi_anonymous_id IS NOT :id"""
_DROP = "UPDATE accounts SET mimi_anonymous_id = NULL WHERE account = :account AND mimi_anonymous_id = :id"
_QUARANTINE = "INSERT INTO quarantined_ids VALUES (:account, :id, :now) ON CONFLICT DO NOTHING"
_QUARANTINE_OTHER = """INSERT INTO quarantined_ids SELECT account, mimi_anonymous_id, :now FROM accounts
                      WHERE account = :account AND mimi_anonymous_id IS NOT :id AND mimi_anonymous_id IS NOT NULL
                      ON CONFLICT DO NOTHING"""
_QUARANTINED = "SELECT mimi_anonymous_id FROM quarantined_ids WHERE account = ? ORDER BY quarantined_at, rowid"
_UNQUARANTINE = "DELETE FROM quarantined_ids WHERE account = :account AND mimi_anonymous_id = :id"
_FILL = "UPDATE accounts SET mimi_anonymous_id = :id WHERE account = :account AND mimi_anonymous_id IS NULL"


class Accounts:
    """Store the id of each account. Each method is idempotent.

    An anonymousId opens a hearing profile: store it like a password. Here only the owner can read the file; a partner
    would also encrypt the column.

    Args:
        path: The SQLite file; created at the first use.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def known_id(self, account: str) -> AnonymousId | None:
        """Return the id of an account, for `MimiCore(known_id=…)`.

        It must raise if the table cannot be read: None means that the account has no id.
        """

        def read(table: sqlite3.Connection) -> AnonymousId | None:
            row = table.execute(_SELECT, (account,)).fetchone()
            return None if row is None or row[0] is None else AnonymousId(row[0])

        return await self.run(read)

    async def keep(self, account: str, anonymous_id: AnonymousId) -> None:
        """Store the id of an account. A different id stored before is quarantined: it opens a profile, too."""
        await self._change(account, anonymous_id, _QUARANTINE_OTHER, _KEEP, _UNQUARANTINE)

    async def drop(self, account: str, anonymous_id: AnonymousId) -> None:
        """Delete an erased id, also from quarantine. A newer id of the account stays."""
        await self._change(account, anonymous_id, _DROP, _UNQUARANTINE)

    async def quarantine(self, account: str, anonymous_id: AnonymousId) -> None:
        """Move an id aside: `known_id` no longer returns it, the support can bring it back. Another id stays."""
        await self._change(account, anonymous_id, _QUARANTINE, _DROP)

    async def bring_back(self, account: str, anonymous_id: AnonymousId) -> None:
        """Undo `quarantine`. If the account has another id by now, this one stays in quarantine."""
        await self._change(account, anonymous_id, _FILL, f"{_UNQUARANTINE} AND changes() = 1")

    async def quarantined_ids(self, account: str) -> list[AnonymousId]:
        """Return the quarantined ids, oldest first."""
        return await self.run(lambda table: [AnonymousId(row[0]) for row in table.execute(_QUARANTINED, (account,))])

    async def _change(self, account: str, anonymous_id: AnonymousId, *statements: str) -> None:
        values = {"account": account, "id": anonymous_id.reveal(), "now": time.time()}

        def write(table: sqlite3.Connection) -> None:
            for statement in statements:
                table.execute(statement, values)

        await self.run(write)

    async def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run a transaction in a thread with a new connection, so that the event loop is not blocked."""
        return await asyncio.to_thread(self._run_sync, work)

    def _run_sync(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        self._path.touch(mode=0o600)
        with closing(sqlite3.connect(self._path, timeout=5)) as table, table:
            for statement in _SCHEMA:
                table.execute(statement)
            return work(table)
