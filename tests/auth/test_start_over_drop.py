"""`start_over(drop=…)` lets the host remove its own copy before the record is removed, under the account's lock."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from mimi_async import (
    AnonymousId,
    ConfigurationError,
    MimiCore,
    MimiUser,
    StoreUnavailableError,
    UnknownAnonymousIdError,
)
from mimi_async.stores import SQLiteStore

from ..doubles import set_timeouts
from .launches import ACCOUNT, App, raising
from .stores_for_tests import BEFORE_FORGET

SESSIONS = "/v1/sessions"


class Table:
    """The host's table of ids."""

    def __init__(self) -> None:
        self.ids: dict[str, AnonymousId] = {}
        self.dropped: list[AnonymousId | None] = []
        self.has_begun = asyncio.Event()
        self.may_drop = asyncio.Event()
        self.may_drop.set()

    async def known_id(self, account: str) -> AnonymousId | None:
        return self.ids.get(account)

    async def drop(self, anonymous_id: AnonymousId | None) -> None:
        self.dropped.append(anonymous_id)
        self.has_begun.set()
        await self.may_drop.wait()
        if self.ids.get(ACCOUNT) == anonymous_id:
            del self.ids[ACCOUNT]


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
async def old(app: App, table: Table) -> MimiUser:
    user = await app.first_launch()
    table.ids[ACCOUNT] = user.anonymous_id
    return user


@pytest.fixture
async def shut(app: App, table: Table, old: MimiUser) -> AsyncIterator[MimiCore]:
    app.server.fail(SESSIONS, problem="unknown-anonymous-id", times=None)
    async with app.core(known_id=table.known_id) as core:
        assert isinstance(core.auth.gate.cause, UnknownAnonymousIdError)
        yield core


async def test_a_request_in_between_does_not_bring_the_id_back(
    app: App, table: Table, shut: MimiCore, old: MimiUser
) -> None:
    table.may_drop.clear()
    starting = asyncio.create_task(shut.auth.start_over(drop=table.drop))
    await table.has_begun.wait()
    async with app.core(known_id=table.known_id, account=None) as other:
        with pytest.raises(UnknownAnonymousIdError):
            await other.auth_for(ACCOUNT)
    assert await app.record() is not None
    table.may_drop.set()
    assert await starting == old.anonymous_id
    async with app.core(known_id=table.known_id, account=None) as other:
        assert (await other.auth_for(ACCOUNT)).current_user is None
    assert shut.auth.gate.is_open
    assert await app.record() is None
    assert table.ids == {}


async def test_a_drop_that_fails_keeps_the_record_and_is_called_again(
    app: App, table: Table, shut: MimiCore, old: MimiUser
) -> None:
    with pytest.raises(StoreUnavailableError, match="drop failed"):
        await shut.auth.start_over(drop=raising(ConnectionError()))
    assert (await app.load_record()).anonymous_id == old.anonymous_id
    assert not shut.auth.gate.is_open
    assert await shut.auth.start_over(drop=table.drop) == old.anonymous_id
    assert table.dropped == [old.anonymous_id]
    assert await app.record() is None


async def test_a_record_that_can_not_be_removed_after_the_drop_is_removed_by_the_next_call(
    app: App, table: Table, shut: MimiCore, old: MimiUser
) -> None:
    app.store.at(BEFORE_FORGET, raising(StoreUnavailableError("down")))
    with pytest.raises(StoreUnavailableError):
        await shut.auth.start_over(drop=table.drop)
    assert await app.record() is not None
    assert await shut.auth.start_over(drop=table.drop) == old.anonymous_id
    assert table.dropped == [old.anonymous_id] * 2


async def test_nothing_is_dropped_while_the_server_knows_the_id_again(
    app: App, table: Table, shut: MimiCore, old: MimiUser
) -> None:
    app.server.clear_faults()
    with pytest.raises(ConfigurationError, match="again"):
        await shut.start_over(ACCOUNT, drop=table.drop)
    assert table.dropped == []
    assert table.ids == {ACCOUNT: old.anonymous_id}


async def test_a_drop_may_not_call_its_own_controller(app: App, shut: MimiCore) -> None:
    async def drop(_: AnonymousId | None) -> None:
        await shut.auth.find_user()

    with pytest.raises(ConfigurationError, match="wait for itself"):
        await shut.auth.start_over(drop=drop)
    assert await app.record() is not None


async def test_a_drop_that_hangs_ends_by_the_deadline_and_keeps_the_record(app: App, shut: MimiCore) -> None:
    async def drop(_: AnonymousId | None) -> None:
        await asyncio.Event().wait()

    set_timeouts(shut, call=0.2)
    with pytest.raises(StoreUnavailableError, match="drop did not end by the deadline"):
        await shut.auth.start_over(drop=drop)
    assert await app.record() is not None


async def test_a_damaged_record_is_dropped_without_an_id(app: App, table: Table, tmp_path: Path) -> None:
    path = tmp_path / "damaged.sqlite3"
    async with app.core(store=SQLiteStore(path)) as core:
        table.ids[ACCOUNT] = (await core.auth.ensure_user()).anonymous_id
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE identities SET secret = 'damaged'")
    kept = dict(table.ids)
    async with app.core(store=SQLiteStore(path), known_id=table.known_id) as core:
        assert await core.auth.start_over(drop=table.drop) is None
        assert table.dropped == [None]
        assert table.ids == kept, "the host's own copy is the way back"
        assert (await core.auth.ensure_user()).anonymous_id == kept[ACCOUNT]


@pytest.mark.parametrize("drop", [1, "drop"])
async def test_drop_is_a_function(shut: MimiCore, drop: object) -> None:
    with pytest.raises(ConfigurationError, match="drop is an `async def drop"):
        await shut.auth.start_over(drop=drop)  # type: ignore[arg-type]  # that is the point
