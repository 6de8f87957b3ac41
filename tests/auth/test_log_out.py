"""Logging out forgets the id here and nothing else: the host keeps its copy."""

import pytest

from mimi_async import (
    LogInAnonymously,
    MimiUser,
    NotAuthenticatedError,
    StoreConflictError,
    StoreUnavailableError,
)
from mimi_async.auth.controller import AuthController
from mimi_async.stores import MemoryStore, StoredIdentity

from .launches import ACCOUNT, App, raising
from .stores_for_tests import AFTER_FORGET, BEFORE_FORGET


async def test_the_profile_lives_on_and_the_host_keeps_its_copy(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        await core.auth.log_out()
        assert core.auth.current_user is None
        assert core.auth.gate.is_open
        assert await app.record() is None
        assert app.asked == [("POST", "/v1/sessions")]
        assert app.server.users == 1
        assert await core.auth.authenticate(LogInAnonymously(user.anonymous_id)) == user
    assert app.news.kinds == [(user, None, None), (None, user, None), (user, None, None)]


async def test_without_a_user_nothing_happens(app: App) -> None:
    async with app.core() as core:
        await core.auth.log_out()
        assert core.auth.current_user is None
    assert app.store.writes == []
    assert app.news.told == []


async def test_the_next_launch_has_no_user(app: App) -> None:
    await app.first_launch()
    async with app.core() as core:
        await core.auth.log_out()
    async with app.core() as core:
        assert core.auth.current_user is None
        assert core.auth.gate.is_open


async def test_views_may_run_afterwards_without_a_user(app: App) -> None:
    await app.first_launch()

    async def view(auth: AuthController) -> MimiUser | None:
        return auth.current_user

    async with app.core() as core:
        await core.auth.log_out()
        assert await core.present(view) is None


async def test_a_user_that_can_not_be_forgotten_stays(app: App) -> None:
    user = await app.first_launch()
    kept = await app.record()
    async with app.core() as core:
        app.store.at(BEFORE_FORGET, raising(StoreUnavailableError("read-only")))
        with pytest.raises(StoreUnavailableError):
            await core.auth.log_out()
        assert core.auth.current_user == user
        record = await app.record()
        assert record is not None
        assert kept is not None
        assert (record.state, record.secret) == ("active", kept.secret)
        assert record.revision != kept.revision, "a delete that is still on its way finds nothing to delete"
        await core.auth.log_out()
        assert core.auth.current_user is None
    assert app.news.kinds == [(user, None, None), (user, user, StoreUnavailableError), (None, user, None)]


async def test_a_user_that_was_forgotten_without_an_answer_is_put_back(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        app.store.at(AFTER_FORGET, raising(StoreUnavailableError("the connection ended after the commit")))
        with pytest.raises(StoreUnavailableError):
            await core.auth.log_out()
        assert core.auth.current_user == user
        assert await core.auth.ensure_user() == user
    record = await app.record()
    assert record is not None
    assert record.secret == user.anonymous_id
    assert app.server.users == 1


async def test_a_record_that_is_gone_already_is_success(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        record = await app.record()
        assert record is not None
        await app.store.inner.forget(ACCOUNT, record)
        await core.auth.log_out()
        assert core.auth.current_user is None
    assert app.news.kinds == [(user, None, None), (None, user, None)]


async def test_a_user_that_another_process_has_logged_in_is_not_forgotten_unseen(app: App) -> None:
    user = await app.first_launch()
    async with app.core(store=MemoryStore()) as core:
        other = await core.auth.ensure_user()
    app.forget_the_past()
    stored = StoredIdentity.active(other.anonymous_id, other.id)
    async with app.core() as core:
        await app.put(stored)
        with pytest.raises(StoreConflictError):
            await core.auth.log_out()
        assert core.auth.current_user == other
        assert await app.record() == stored
        await core.auth.log_out()
        assert core.auth.current_user is None
    assert await app.record() is None
    assert app.news.kinds == [(user, None, None), (other, user, None), (None, other, None)]


@pytest.mark.parametrize("call", ["update_user", "reload_user", "export_data", "reset", "hearing_tests"])
async def test_what_needs_a_user_says_how_to_get_one(app: App, call: str) -> None:
    await app.first_launch()
    async with app.core() as core:
        await core.auth.log_out()
        app.forget_the_past()
        with pytest.raises(NotAuthenticatedError, match=r"ensure_user\(\)"):
            if call == "hearing_tests":
                _ = [test async for test in core.auth.hearing_tests()]
            else:
                await getattr(core.auth, call)()
    assert app.asked == []
    assert app.news.told == []
