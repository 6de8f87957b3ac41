"""The guide's own way to become a user, and the ways to be one no more."""

import asyncio

import pytest

from mimi_async import (
    AlreadyAuthenticatedError,
    Anonymously,
    CredentialsRejectedError,
    ErasedAnonymousIdError,
    LogInAnonymously,
    MimiError,
    ProtocolError,
    ServerBusyError,
    ServerUnreachableError,
    StoreConflictError,
    StoreUnavailableError,
    UnknownAnonymousIdError,
)
from mimi_async.secret import CreateKey
from mimi_async.stores import StoredIdentity

from ..internals import controller_of
from .launches import App, raising, returning
from .stores_for_tests import BEFORE_REPLACE

SESSIONS = "/v1/sessions"
LOG_IN = ("POST", SESSIONS)


async def test_a_second_product_of_the_partner_logs_in_with_the_id(app: App) -> None:
    user = await app.make_user_elsewhere()
    async with app.core() as core:
        assert await core.auth.authenticate(LogInAnonymously(user.anonymous_id)) == user
        assert core.auth.current_user == user
        await app.assert_stored("active", user)
    assert app.observer.kinds == [(user, None, None)]
    assert app.asked == [LOG_IN]
    async with app.core() as core:
        assert core.auth.current_user == user
    assert app.server.users == 1


async def test_an_id_of_one_partner_is_unknown_to_another_partners_client(app: App) -> None:
    user = await app.make_user_elsewhere()
    stranger = app.server.new_client(partner="another")
    async with app.core(credentials=stranger) as core:
        with pytest.raises(UnknownAnonymousIdError):
            await core.auth.authenticate(LogInAnonymously(user.anonymous_id))
        assert core.auth.current_user is None
        assert core.auth.gate.is_open
    assert await app.record() is None
    async with app.product() as core:
        assert await core.auth.authenticate(LogInAnonymously(user.anonymous_id)) == user


async def test_the_same_create_key_makes_different_users_for_different_partners(app: App) -> None:
    pending = StoredIdentity.pending(CreateKey.generate())
    users = []
    for credentials in (app.server.new_client(), app.server.new_client(partner="another")):
        await app.put(pending)
        async with app.core(credentials=credentials) as core:
            users.append(core.auth.current_user)
    one, two = users
    assert one is not None
    assert two is not None
    assert one.anonymous_id != two.anonymous_id
    assert app.server.users == 2


async def test_a_new_user_is_not_made_while_there_is_one(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        with pytest.raises(AlreadyAuthenticatedError, match=r"log_out\(\)"):
            await core.auth.authenticate(Anonymously())
        assert core.auth.current_user == user
    await app.assert_stored("active", user)
    assert app.observer.kinds == [(user, None, None)]
    assert app.asked == [LOG_IN]
    assert app.server.users == 1


async def test_the_id_of_the_user_itself_is_a_reload(app: App) -> None:
    old = await app.first_launch()
    async with app.core() as core:
        assert await core.auth.authenticate(LogInAnonymously(old.anonymous_id)) == old
        assert app.observer.kinds == [(old, None, None)]
        async with app.product() as product:
            await product.auth.authenticate(LogInAnonymously(old.anonymous_id))
            new = await product.auth.update_user(sex="female")
        app.clear_records()
        assert await core.auth.authenticate(LogInAnonymously(old.anonymous_id)) == new
    assert app.observer.kinds == [(new, old, None)]
    assert app.store.writes == []


async def test_another_id_replaces_the_user_in_one_operation(app: App) -> None:
    old, new = await app.first_launch(), await app.make_user_elsewhere()
    async with app.core() as core:
        assert await core.auth.authenticate(LogInAnonymously(new.anonymous_id)) == new
        assert core.auth.gate.is_open
    await app.assert_stored("active", new)
    assert app.store.writes == ["replace"]
    assert app.observer.kinds == [(old, None, None), (new, old, None)]
    assert app.server.users == 2


async def test_the_store_is_replaced_after_the_server_said_yes_and_not_before(app: App) -> None:
    old, new = await app.first_launch(), await app.make_user_elsewhere()
    async with app.core() as core, app.server.hold(SESSIONS) as held:
        authenticated = asyncio.create_task(core.auth.authenticate(LogInAnonymously(new.anonymous_id)))
        await held.arrived.wait()
        await app.assert_stored("active", old)
        assert core.auth.current_user == old
        held.release()
        await authenticated


FAILURES: dict[str, tuple[type[MimiError], dict[str, object]]] = {
    "404": (UnknownAnonymousIdError, {"problem": "unknown-anonymous-id"}),
    "410": (ErasedAnonymousIdError, {"problem": "erased"}),
    "403": (CredentialsRejectedError, {"problem": "client-not-allowed"}),
    "503": (ServerBusyError, {"status": 503, "times": 3}),
    "a stranger's 404": (ProtocolError, {"status": 404}),
    "redirect": (ProtocolError, {"status": 302}),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_log_in_that_fails_leaves_user_and_store_as_they_were(app: App, failure: str) -> None:
    user, other = await app.first_launch(), await app.make_user_elsewhere()
    kept = await app.record()
    error, fault = FAILURES[failure]
    async with app.core() as core:
        app.server.fail(SESSIONS, **fault)  # type: ignore[arg-type]  # as in the table above
        with pytest.raises(error):
            await core.auth.authenticate(LogInAnonymously(other.anonymous_id))
        assert core.auth.current_user == user
        assert core.auth.gate.is_open
        assert await core.auth.reload_user() == user
    assert await app.record() == kept
    assert app.store.writes == []
    assert app.observer.kinds == [(user, None, None), (user, user, error)]


async def test_a_log_in_that_can_not_be_kept_is_not_adopted(app: App) -> None:
    user, other = await app.first_launch(), await app.make_user_elsewhere()
    async with app.core() as core:
        app.store.at(BEFORE_REPLACE, raising(StoreUnavailableError("disk full")))
        with pytest.raises(StoreUnavailableError):
            await core.auth.authenticate(LogInAnonymously(other.anonymous_id))
        assert core.auth.current_user == user
    await app.assert_stored("active", user)
    assert app.observer.kinds == [(user, None, None), (user, user, StoreUnavailableError)]


async def test_a_pending_creation_is_followed_before_another_id_is_logged_in(app: App) -> None:
    other = await app.make_user_elsewhere()
    async with app.core() as core:
        app.server.drop_reply("/v1/anonymous-users", times=3)
        with pytest.raises(ServerUnreachableError):
            await core.auth.ensure_user()
        app.clear_records()
        assert await core.auth.authenticate(LogInAnonymously(other.anonymous_id)) == other
    made = app.observer.updates[0].current
    assert made is not None
    assert app.observer.kinds == [(made, None, None), (other, made, None)], "the host has both ids"
    await app.assert_stored("active", other)


async def test_an_erasure_that_was_begun_is_finished_before_another_id_is_logged_in(app: App) -> None:
    await app.first_launch()
    other = await app.make_user_elsewhere()
    await app.put_state("erasing")
    app.server.fail(SESSIONS, times=3)
    async with app.core(account=None) as core:
        with pytest.raises(ServerBusyError):
            await core.auth_for("a-17")
        auth = controller_of(core, "a-17")
        assert await auth.authenticate(LogInAnonymously(other.anonymous_id)) == other
        assert auth.gate.is_open
    assert app.server.users == 1
    await app.assert_stored("active", other)


async def test_a_log_in_goes_on_after_a_restore_that_failed(app: App) -> None:
    user = await app.first_launch()
    other = await app.make_user_elsewhere()
    async with app.core(account=None, known_id=returning(user.anonymous_id)) as core:
        app.server.fail(SESSIONS, times=3)
        with pytest.raises(ServerBusyError):
            await core.auth_for("a-17")
        auth = controller_of(core, "a-17")
        assert await auth.authenticate(LogInAnonymously(other.anonymous_id)) == other
        assert auth.gate.is_open
    assert app.observer.kinds == [(None, None, ServerBusyError), (other, None, None)]
    await app.assert_stored("active", other)


async def test_another_process_that_writes_is_not_written_over_unread(app: App) -> None:
    other, third = await app.make_user_elsewhere(), await app.make_user_elsewhere()
    await app.first_launch()
    async with app.core() as core:
        stored = StoredIdentity.active(third.anonymous_id, third.id)
        app.store.at(BEFORE_REPLACE, lambda: app.put(stored))
        try:
            assert await core.auth.authenticate(LogInAnonymously(other.anonymous_id)) == other
        except StoreConflictError:
            assert await app.record() == stored
        else:
            await app.assert_stored("active", other)
