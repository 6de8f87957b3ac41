"""A restore that succeeds: the record, the user, the update, and what the server holds afterwards."""

import pytest

from mimi_async import ErasedAnonymousIdError, MimiUser, UnknownAnonymousIdError
from mimi_async.secret import CreateKey
from mimi_async.stores import StoredIdentity

from ..conftest import rounds
from .launches import ACCOUNT, ENTRIES, App, Entry, returning

LOG_IN = ("POST", "/v1/sessions")
CREATE = ("POST", "/v1/anonymous-users")
ERASE = ("DELETE", "/v1/user")

every_entry = pytest.mark.parametrize("entry", ENTRIES)


@every_entry
async def test_opens_the_gate_without_a_user_where_nothing_is_stored(app: App, entry: Entry) -> None:
    async with app.restore(entry) as restored:
        restored.assert_open(None)
    assert await app.record() is None
    assert app.store.writes == []
    assert app.observer.updates == []
    assert app.asked == []
    assert app.server.users == 0


@every_entry
async def test_logs_in_with_the_stored_id_and_writes_nothing(app: App, entry: Entry) -> None:
    user = await app.first_launch()
    kept = await app.record()
    async with app.restore(entry) as restored:
        restored.assert_open(user)
    assert app.store.writes == []
    assert await app.record() == kept
    assert app.observer.kinds == [(user, None, None)]
    assert app.asked == [LOG_IN]
    assert app.server.users == 1


@every_entry
async def test_heals_a_rejected_record_when_the_server_knows_the_id_again(app: App, entry: Entry) -> None:
    user = await app.first_launch()
    await app.put_state("rejected")
    async with app.restore(entry) as restored:
        restored.assert_open(user)
    await app.assert_stored("active", user)
    assert app.store.writes == ["replace"]
    assert app.observer.kinds == [(user, None, None)]
    assert app.server.users == 1


@every_entry
async def test_makes_the_user_of_a_pending_record_that_the_server_never_heard_of(app: App, entry: Entry) -> None:
    await app.put(StoredIdentity.pending(CreateKey.generate()))
    async with app.restore(entry) as restored:
        user = restored.auth.current_user
        assert restored.auth.gate.is_open
    await _assert_kept(app, user)
    assert app.asked == [CREATE]


@every_entry
async def test_gets_the_same_user_for_a_pending_record_whose_creation_had_arrived(app: App, entry: Entry) -> None:
    pending = await app.put(StoredIdentity.pending(CreateKey.generate()))
    async with app.core() as core:
        user = core.auth.current_user
    await app.put(pending)
    app.clear_records()
    async with app.restore(entry) as restored:
        assert restored.auth.current_user == user
    await _assert_kept(app, user)
    assert app.asked == [CREATE]


async def _assert_kept(app: App, user: MimiUser | None) -> None:
    assert user is not None
    await app.assert_stored("active", user)
    assert app.store.writes == ["replace"]
    assert app.observer.kinds == [(user, None, None)]
    assert app.server.users == 1


@every_entry
async def test_starts_without_a_user_where_the_one_of_a_pending_record_was_erased(app: App, entry: Entry) -> None:
    pending = await app.put(StoredIdentity.pending(CreateKey.generate()))
    async with app.core() as core:
        await core.auth.reset()
    await app.put(pending)
    app.clear_records()
    async with app.restore(entry) as restored:
        restored.assert_open(None)
    assert await app.record() is None
    assert app.observer.kinds == [(None, None, ErasedAnonymousIdError)]
    assert app.server.users == 0


@every_entry
@pytest.mark.parametrize("is_erased", [False, True])
async def test_finishes_a_reset_that_was_cut_off(app: App, entry: Entry, is_erased: bool) -> None:
    user = await app.first_launch()
    await app.put_state("erasing")
    if is_erased:
        await app.erase_elsewhere(user)
    async with app.restore(entry) as restored:
        restored.assert_open(None)
    assert await app.record() is None
    assert app.observer.kinds == [(None, None, ErasedAnonymousIdError)]
    assert app.erased_id == user.anonymous_id
    assert app.asked == ([LOG_IN] if is_erased else [LOG_IN, ERASE])
    assert app.server.users == 0


@every_entry
async def test_keeps_an_erasing_record_that_the_server_does_not_know_and_tries_it_each_time(
    app: App, entry: Entry
) -> None:
    await app.first_launch()
    erasing = await app.put_state("erasing")
    app.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
    async with app.restore(entry) as restored:
        assert isinstance(restored.error, UnknownAnonymousIdError)
        restored.assert_shut()
    assert await app.record() == erasing
    assert app.observer.kinds == [(None, None, UnknownAnonymousIdError)]
    assert app.server.users == 1
    async with app.restore(entry) as restored:
        assert restored.auth.current_user is None
    assert await app.record() is None
    assert app.server.users == 0


@every_entry
async def test_forgets_the_id_of_a_user_that_was_erased_on_another_product(app: App, entry: Entry) -> None:
    user = await app.first_launch()
    await app.erase_elsewhere(user)
    async with app.restore(entry) as restored:
        restored.assert_open(None)
    assert await app.record() is None
    assert app.store.writes == ["forget"]
    assert app.observer.kinds == [(None, None, ErasedAnonymousIdError)]
    assert app.erased_id == user.anonymous_id
    assert app.server.users == 0


async def test_no_restore_writes(app: App) -> None:
    launches = rounds(100, 1000)
    user = await app.first_launch()
    kept = await app.record()
    async with app.core(account=None, max_idle_controllers=0) as core:
        for _ in range(launches):
            auth = await core.auth_for(ACCOUNT)
            assert auth.current_user == user
            del auth
    assert app.store.writes == []
    assert await app.record() == kept
    assert app.asked == [LOG_IN] * launches


async def test_asks_known_id_only_where_the_store_holds_no_id(app: App) -> None:
    user = await app.first_launch()
    asked: list[str] = []

    async def known_id(account: str) -> None:
        asked.append(account)

    async with app.core(known_id=known_id) as core:
        assert core.auth.current_user == user
    assert asked == []
    async with app.core(known_id=known_id, account="another") as core:
        assert core.auth.current_user is None
    assert asked == ["another"]


async def test_a_store_may_be_shared_by_the_accounts_of_a_service(app: App) -> None:
    async with app.core(account=None) as core:
        users = [await (await core.auth_for(account)).ensure_user() for account in ("one", "two", "three")]
    async with app.core(account=None, known_id=returning(None)) as core:
        assert [(await core.auth_for(account)).current_user for account in ("one", "two", "three")] == users
    assert app.server.users == 3
