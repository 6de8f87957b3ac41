"""A verdict about the record: the core can be entered, the gate is shut, and nothing is made in its place."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from mimi_async import (
    ConfigurationError,
    CredentialsRejectedError,
    InvalidInputError,
    LogInAnonymously,
    ServerBusyError,
    StartupError,
    StoreCorruptError,
    UnknownAnonymousIdError,
    ViewsClosedError,
)
from mimi_async.secret import CreateKey
from mimi_async.stores import SQLiteStore, StoredIdentity
from mimi_async.testing import IdentityServer

from ..doubles import whose as view
from .launches import ACCOUNT, ENTRIES, App, Entry
from .stores_for_tests import BEFORE_REPLACE, WatchedStore

SESSIONS = "/v1/sessions"

every_entry = pytest.mark.parametrize("entry", ENTRIES)


@every_entry
async def test_an_unknown_id_is_set_aside_and_kept(app: App, entry: Entry) -> None:
    user = await app.first_launch()
    app.server.fail(SESSIONS, problem="unknown-anonymous-id")
    async with app.restore(entry) as restored:
        assert restored.has_started
        assert isinstance(restored.error, UnknownAnonymousIdError)
        restored.assert_shut()
    await app.assert_stored("rejected", user)
    assert app.store.writes == ["replace"]
    assert app.observer.kinds == [(None, None, UnknownAnonymousIdError)]
    assert app.server.users == 1


@every_entry
async def test_nothing_is_made_in_place_of_an_unknown_id(app: App, entry: Entry) -> None:
    await app.first_launch()
    app.server.fail(SESSIONS, problem="unknown-anonymous-id", times=None)
    async with app.restore(entry) as restored:
        with pytest.raises(UnknownAnonymousIdError, match=r"start_over\(\)"):
            await restored.auth.ensure_user()
        with pytest.raises(ViewsClosedError) as caught:
            await restored.core.present(view, account=ACCOUNT)
        assert isinstance(caught.value.__cause__, UnknownAnonymousIdError)
    assert ("POST", "/v1/anonymous-users") not in app.asked
    assert app.server.users == 1


async def test_a_rejected_record_is_tried_again_at_each_launch_and_not_written_again(app: App) -> None:
    await app.first_launch()
    app.server.fail(SESSIONS, problem="unknown-anonymous-id", times=3)
    revisions = set()
    for _ in range(3):
        async with app.core() as core:
            assert isinstance(core.auth.gate.cause, UnknownAnonymousIdError)
        record = await app.load_record()
        revisions.add(record.revision)
    assert app.asked == [("POST", SESSIONS)] * 3
    assert app.store.writes == ["replace"]
    assert len(revisions) == 1
    async with app.core() as core:
        assert core.auth.gate.is_open


async def test_setting_aside_that_the_store_refuses_is_a_failed_start_and_keeps_the_record(app: App) -> None:
    await app.first_launch()
    kept = await app.record()
    app.server.fail(SESSIONS, problem="unknown-anonymous-id")

    async def full() -> None:
        raise OSError

    app.store.at(BEFORE_REPLACE, full)
    with pytest.raises(StartupError) as caught:
        await app.core().__aenter__()
    assert caught.value.phase == "restore"
    assert await app.record() == kept


async def test_another_id_can_be_logged_in_over_a_rejected_record(app: App) -> None:
    """The rejected id is asked about first: here it is known again, and the host gets it before it is replaced."""
    user = await app.first_launch()
    other = await app.make_user_elsewhere()
    app.server.fail(SESSIONS, problem="unknown-anonymous-id")
    async with app.core() as core:
        assert not core.auth.gate.is_open
        assert await core.auth.authenticate(LogInAnonymously(other.anonymous_id)) == other
        assert core.auth.gate.is_open
        assert core.auth.current_user == other
        assert await core.present(view) == other
    await app.assert_stored("active", other)
    updates = [(None, None, UnknownAnonymousIdError), (user, None, None), (other, user, None)]
    assert app.observer.kinds == updates


@every_entry
async def test_rejected_client_credentials_are_no_verdict_about_the_record(app: App, entry: Entry) -> None:
    user = await app.first_launch()
    kept = await app.record()
    app.server.remove_client(app.server.credentials)
    async with app.restore(entry) as restored:
        assert isinstance(restored.error, CredentialsRejectedError)
        restored.assert_shut()
    assert await app.record() == kept
    assert app.store.writes == []
    assert app.asked == [("POST", SESSIONS)]
    async with app.restore(entry, credentials=app.server.new_client()) as restored:
        assert restored.auth.current_user == user


# A record that can't be read --------------------------------------------------------------------------------------


@pytest.fixture
def path(disk: Path) -> Path:
    return disk / "ids.sqlite3"


@pytest.fixture
async def damaged(server: IdentityServer, path: Path) -> App:
    """An app whose one record a failing disk has changed."""
    app = App(server, WatchedStore(SQLiteStore(path)))
    await app.first_launch()
    damage(path)
    return app


def damage(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE identities SET user_id = replace(user_id, substr(user_id, 1, 4), 'zzzz')")


def rows(path: Path, table: str = "identities") -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return list(connection.execute(f"SELECT * FROM {table}"))


@every_entry
async def test_a_corrupt_record_is_kept_untouched_and_nothing_is_made(damaged: App, path: Path, entry: Entry) -> None:
    before = rows(path)
    async with damaged.restore(entry) as restored:
        assert restored.has_started
        assert isinstance(restored.error, StoreCorruptError)
        restored.assert_shut()
        with pytest.raises(StoreCorruptError):
            await restored.auth.ensure_user()
        with pytest.raises(ViewsClosedError):
            await restored.core.present(view, account=ACCOUNT)
    assert rows(path) == before
    assert damaged.store.writes == []
    assert damaged.asked == []
    assert damaged.observer.kinds == [(None, None, StoreCorruptError)]
    assert damaged.server.users == 1


async def test_starting_over_moves_a_corrupt_record_aside_and_only_then_a_user_can_be_made(
    damaged: App, path: Path
) -> None:
    before = rows(path)
    async with damaged.core() as core:
        assert await core.auth.start_over() is None
        assert core.auth.gate.is_open
        assert core.auth.current_user is None
        assert damaged.server.users == 1
        assert rows(path) == []
        assert [row[:-1] for row in rows(path, "quarantine")] == before
        user = await core.auth.ensure_user()
    assert damaged.server.users == 2
    assert damaged.observer.kinds == [(None, None, StoreCorruptError), (user, None, None)]
    async with damaged.core() as core:
        assert core.auth.current_user == user


async def test_start_over_after_the_record_of_a_known_user_was_damaged_returns_the_id(
    server: IdentityServer, path: Path
) -> None:
    app = App(server, WatchedStore(SQLiteStore(path)))
    old = await app.first_launch()
    async with app.core() as core:
        damage(path)
        assert await core.auth.start_over() == old.anonymous_id
        assert await core.auth.authenticate(LogInAnonymously(old.anonymous_id)) == old
    assert app.server.users == 1


async def test_start_over_after_an_unknown_id_returns_it_and_only_then_a_user_can_be_created(app: App) -> None:
    old = await app.first_launch()
    app.server.fail(SESSIONS, problem="unknown-anonymous-id", times=None)
    async with app.core() as core:
        assert await core.auth.start_over() == old.anonymous_id
        assert core.auth.gate.is_open
        assert core.auth.current_user is None
        assert await app.record() is None
        assert app.server.users == 1
        user = await core.auth.ensure_user()
    assert app.server.users == 2
    assert user.anonymous_id != old.anonymous_id


async def test_starting_over_refuses_intact_records(app: App) -> None:
    user = await app.first_launch()
    kept = await app.record()
    async with app.core() as core:
        with pytest.raises(ConfigurationError, match="neither rejected nor damaged"):
            await core.auth.start_over()
        assert core.auth.current_user == user
        assert core.auth.gate.is_open
    assert await app.record() == kept
    assert app.store.writes == []
    assert app.observer.kinds == [(user, None, None)]


@pytest.mark.parametrize("state", ["pending", "active", "erasing"])
async def test_starting_over_refuses_a_record_that_only_could_not_be_asked_for(app: App, state: str) -> None:
    if state == "pending":
        await app.put(StoredIdentity.pending(CreateKey.generate()))
    else:
        user = await app.first_launch()
        await app.put(StoredIdentity(state=state, secret=user.anonymous_id, user_id=user.id))  # type: ignore[arg-type]  # a state
    kept = await app.record()
    app.server.fail(times=None)
    async with app.core(account=None) as core:
        with pytest.raises(ServerBusyError):
            await core.auth_for(ACCOUNT)
        with pytest.raises(ConfigurationError):
            await core.start_over(ACCOUNT)
    assert await app.record() == kept


async def test_a_service_starts_over_for_an_account_whose_controller_it_can_not_get(app: App) -> None:
    user = await app.first_launch()
    app.server.fail(SESSIONS, problem="unknown-anonymous-id", times=None)
    async with app.core(account=None) as core:
        with pytest.raises(UnknownAnonymousIdError):
            await core.auth_for(ACCOUNT)
        assert await core.start_over(ACCOUNT) == user.anonymous_id
        assert (await core.auth_for(ACCOUNT)).current_user is None
        with pytest.raises(InvalidInputError):
            await core.start_over("")
    assert await app.record() is None


async def test_starting_over_without_an_account_is_for_the_apps_own(app: App) -> None:
    user = await app.first_launch()
    app.server.fail(SESSIONS, problem="unknown-anonymous-id", times=None)
    async with app.core() as core:
        assert await core.start_over() == user.anonymous_id
        assert core.auth.current_user is None
