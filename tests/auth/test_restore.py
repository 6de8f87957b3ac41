"""A restore that ends well: what is stored, who the user is, what is told, and what the server holds afterwards."""

import pytest

from mimi_async import ErasedAnonymousIdError, LogInAnonymously, MimiCore, MimiUser, UnknownAnonymousIdError
from mimi_async.auth.controller import AuthController
from mimi_async.identity import CreateKey
from mimi_async.stores import StoredIdentity

from .launches import ACCOUNT, DOORS, App, Door, returning

LOG_IN = ("POST", "/v1/sessions")
CREATE = ("POST", "/v1/anonymous-users")
ERASE = ("DELETE", "/v1/user")

every_door = pytest.mark.parametrize("door", DOORS)


@every_door
async def test_opens_the_gate_without_a_user_where_nothing_is_stored(app: App, door: Door) -> None:
    async with app.restored(door) as restored:
        assert restored.error is None
        assert restored.auth.gate.is_open
        assert restored.auth.current_user is None
    assert await app.record() is None
    assert app.store.writes == []
    assert app.news.told == []
    assert app.asked == []
    assert app.server.users == 0


@every_door
async def test_logs_in_with_the_stored_id_and_writes_nothing(app: App, door: Door) -> None:
    user = await app.first_launch()
    kept = await app.record()
    async with app.restored(door) as restored:
        assert restored.auth.gate.is_open
        assert restored.auth.current_user == user
    assert app.store.writes == []
    assert await app.record() == kept
    assert app.news.kinds == [(user, None, None)]
    assert app.asked == [LOG_IN]
    assert app.server.users == 1


@every_door
async def test_heals_a_rejected_record_when_the_server_knows_the_id_again(app: App, door: Door) -> None:
    user = await app.first_launch()
    kept = await app.record()
    assert kept is not None
    await app.put(kept.turned("rejected"))
    async with app.restored(door) as restored:
        assert restored.auth.gate.is_open
        assert restored.auth.current_user == user
    healed = await app.record()
    assert healed is not None
    assert (healed.state, healed.secret, healed.user_id) == ("active", user.anonymous_id, user.id)
    assert app.store.writes == ["replace"]
    assert app.news.kinds == [(user, None, None)]
    assert app.server.users == 1


@every_door
async def test_makes_the_user_of_a_pending_record_that_the_server_never_heard_of(app: App, door: Door) -> None:
    await app.put(StoredIdentity.pending(CreateKey.fresh()))
    async with app.restored(door) as restored:
        user = restored.auth.current_user
        assert restored.auth.gate.is_open
    await _assert_kept(app, user)
    assert app.asked == [CREATE]


@every_door
async def test_gets_the_same_user_for_a_pending_record_whose_creation_had_arrived(app: App, door: Door) -> None:
    pending = await app.put(StoredIdentity.pending(CreateKey.fresh()))
    async with app.core() as core:
        user = core.auth.current_user
    await app.put(pending)
    app.forget_the_past()
    async with app.restored(door) as restored:
        assert restored.auth.current_user == user
    await _assert_kept(app, user)
    assert app.asked == [CREATE]


async def _assert_kept(app: App, user: MimiUser | None) -> None:
    assert user is not None
    record = await app.record()
    assert record is not None
    assert (record.state, record.secret, record.user_id) == ("active", user.anonymous_id, user.id)
    assert app.store.writes == ["replace"]
    assert app.news.kinds == [(user, None, None)]
    assert app.server.users == 1


@every_door
async def test_starts_without_a_user_where_the_one_of_a_pending_record_was_erased(app: App, door: Door) -> None:
    pending = await app.put(StoredIdentity.pending(CreateKey.fresh()))
    async with app.core() as core:
        await core.auth.reset()
    await app.put(pending)
    app.forget_the_past()
    async with app.restored(door) as restored:
        assert restored.auth.gate.is_open
        assert restored.auth.current_user is None
    assert await app.record() is None
    assert app.news.kinds == [(None, None, ErasedAnonymousIdError)]
    assert app.server.users == 0


@every_door
async def test_finishes_a_reset_that_was_cut_off(app: App, door: Door) -> None:
    user = await app.first_launch()
    record = await app.record()
    assert record is not None
    await app.put(record.turned("erasing"))
    async with app.restored(door) as restored:
        assert restored.auth.gate.is_open
        assert restored.auth.current_user is None
    assert await app.record() is None
    assert app.news.kinds == [(None, None, ErasedAnonymousIdError)]
    assert _erased_id(app) == user.anonymous_id
    assert app.asked == [LOG_IN, ERASE]
    assert app.server.users == 0


@every_door
async def test_forgets_an_erasing_record_whose_user_is_erased_already(app: App, door: Door) -> None:
    user = await app.first_launch()
    record = await app.record()
    assert record is not None
    async with app.core() as core:
        await core.auth.reset()
    await app.put(record.turned("erasing"))
    app.forget_the_past()
    async with app.restored(door) as restored:
        assert restored.auth.gate.is_open
        assert restored.auth.current_user is None
    assert await app.record() is None
    assert app.news.kinds == [(None, None, ErasedAnonymousIdError)]
    assert _erased_id(app) == user.anonymous_id
    assert app.asked == [LOG_IN]


@every_door
async def test_keeps_an_erasing_record_that_the_server_does_not_know_and_tries_it_each_time(
    app: App, door: Door
) -> None:
    await app.first_launch()
    record = await app.record()
    assert record is not None
    erasing = await app.put(record.turned("erasing"))
    app.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
    async with app.restored(door) as restored:
        assert isinstance(restored.error, UnknownAnonymousIdError)
        restored.assert_shut()
    assert await app.record() == erasing
    assert app.news.kinds == [(None, None, UnknownAnonymousIdError)]
    assert app.server.users == 1
    async with app.restored(door) as restored:
        assert restored.auth.current_user is None
    assert await app.record() is None
    assert app.server.users == 0


@every_door
async def test_forgets_the_id_of_a_user_that_was_erased_on_another_product(app: App, door: Door) -> None:
    user = await app.first_launch()
    await _erase_elsewhere(app, user)
    async with app.restored(door) as restored:
        assert restored.error is None
        assert restored.auth.gate.is_open
        assert restored.auth.current_user is None
    assert await app.record() is None
    assert app.store.writes == ["forget"]
    assert app.news.kinds == [(None, None, ErasedAnonymousIdError)]
    assert _erased_id(app) == user.anonymous_id
    assert app.server.users == 0


def _erased_id(app: App) -> object:
    error = app.news.told[-1].error
    assert isinstance(error, ErasedAnonymousIdError)
    return error.anonymous_id


async def _erase_elsewhere(app: App, user: MimiUser) -> None:
    from mimi_async.stores import MemoryStore

    elsewhere = MimiCore(app.server.new_client(), server=app.server.url, store=MemoryStore())
    async with elsewhere as core:
        await core.auth.authenticate(LogInAnonymously(user.anonymous_id))
        await core.auth.reset()
    app.forget_the_past()


async def test_no_restore_of_a_thousand_launches_writes(app: App) -> None:
    user = await app.first_launch()
    kept = await app.record()
    async with app.core(account=None, keep=0) as core:
        for _ in range(1000):
            auth = await core.auth_for(ACCOUNT)
            assert auth.current_user == user
            del auth
    assert app.store.writes == []
    assert await app.record() == kept
    assert app.asked == [LOG_IN] * 1000


async def test_a_view_sees_the_restored_user_and_never_an_earlier_state(app: App) -> None:
    user = await app.first_launch()

    async def view(auth: AuthController) -> MimiUser | None:
        return auth.current_user

    core = app.core()
    async with core:
        assert await core.present(view) == user


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
