"""Whatever is asked, in whatever order: a SQLite store answers as a plain dict would."""

import asyncio
import sqlite3
import tempfile
from collections.abc import Coroutine
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mimi_async.errors import StoreCorruptError
from mimi_async.stores import DamagedIdentity, SQLiteStore, State, StoredIdentity
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending
from tests.conftest import rounds

_T = TypeVar("_T")

ACCOUNTS = st.sampled_from(["a", "ab", "b", "\U0001f442"])
RECORDS = st.sampled_from(["pending", "active", "rejected", "erasing"]).map(
    lambda state: fresh_pending() if state == "pending" else fresh_active().turned(_as_state(state))
)
GUESSES = st.sampled_from(["stored", "nothing", "another"])


def _as_state(text: str) -> State:
    states: dict[str, State] = {"active": "active", "rejected": "rejected", "erasing": "erasing"}
    return states[text]


class StoreAndDict(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "ids.sqlite3"
        self.store = SQLiteStore(self.path)
        self.table: dict[str, StoredIdentity | DamagedIdentity] = {}
        self.run(self.store.__aenter__())

    def teardown(self) -> None:
        self.run(self.store.__aexit__())
        self.runner.close()
        self.folder.cleanup()

    def run(self, call: Coroutine[object, object, _T]) -> _T:
        return self.runner.run(call)

    def answer(self, call: Coroutine[object, object, StoredIdentity | None]) -> StoredIdentity | DamagedIdentity | None:
        try:
            return self.run(call)
        except StoreCorruptError as error:
            return DamagedIdentity(error.revision or b"")

    def guess(self, account: str, kind: str) -> StoredIdentity | None:
        stored = self.table.get(account)
        return stored if kind == "stored" and isinstance(stored, StoredIdentity) else _other(kind)

    def hits(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> bool:
        return self.table.get(account) == expected

    @rule(account=ACCOUNTS, new=RECORDS)
    def claim(self, account: str, new: StoredIdentity) -> None:
        assert self.answer(self.store.claim(account, new)) == self.table.setdefault(account, new)

    @rule(account=ACCOUNTS, kind=GUESSES, new=RECORDS)
    def replace(self, account: str, kind: str, new: StoredIdentity) -> None:
        expected = self.guess(account, kind)
        if self.hits(account, expected):
            self.table[account] = new
        assert self.answer(self.store.replace(account, expected, new)) == self.table.get(account)

    @rule(account=ACCOUNTS, kind=GUESSES)
    def forget(self, account: str, kind: str) -> None:
        expected = self.guess(account, kind)
        if self.hits(account, expected):
            self.table.pop(account, None)
        assert self.answer(self.store.forget(account, expected)) == self.table.get(account)

    @rule(account=ACCOUNTS)
    def damage(self, account: str) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("UPDATE identities SET secret = 'gone' WHERE account = ?", (account,))
        stored = self.table.get(account)
        if stored is not None:
            self.table[account] = DamagedIdentity(stored.revision)

    @rule(account=ACCOUNTS, revision=st.binary(min_size=16, max_size=16) | st.none())
    def move_aside(self, account: str, revision: bytes | None) -> None:
        stored = self.table.get(account)
        expected = DamagedIdentity(revision or (stored.revision if stored else bytes(16)))
        if self.hits(account, expected):
            del self.table[account]
        assert self.answer(self.store.forget(account, expected)) == self.table.get(account)

    @rule()
    def leave_and_enter_again(self) -> None:
        self.run(self.store.__aexit__())
        self.run(self.store.__aenter__())

    @invariant()
    def holds_what_the_dict_holds(self) -> None:
        for account in ("a", "ab", "b", "\U0001f442"):
            assert self.answer(self.store.load(account)) == self.table.get(account)


def _other(kind: str) -> StoredIdentity | None:
    return fresh_active() if kind == "another" else None


TestStoreAndDict = StoreAndDict.TestCase
TestStoreAndDict.settings = settings(
    max_examples=rounds(30, 2000),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
