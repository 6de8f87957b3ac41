"""Logging out forgets the id here and nothing else: the host keeps its copy."""

import pytest

from mimi_async import LogInAnonymously, StoreConflictError, StoreUnavailableError
from mimi_async.stores import StoredIdentity

from ..doubles import whose
from .launches import App, raising
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
        assert await core.present(whose) is None
        async with app.core() as later:
            assert later.auth.current_user is None
            assert later.auth.gate.is_open
        assert await core.auth.authenticate(LogInAnonymously(user.anonymous_id)) == user
    assert app.observer.kinds == [(user, None, None), (None, user, None), (user, None, None)]


async def test_without_a_user_nothing_happens(app: App) -> None:
    async with app.core() as core:
        await core.auth.log_out()
        assert core.auth.current_user is None
    assert app.store.writes == []
    assert app.observer.updates == []


async def test_a_user_that_can_not_be_forgotten_stays(app: App) -> None:
    user = await app.first_launch()
    kept = await app.record()
    async with app.core() as core:
        app.store.at(BEFORE_FORGET, raising(StoreUnavailableError("read-only")))
        with pytest.raises(StoreUnavailableError):
            await core.auth.log_out()
        assert core.auth.current_user == user
        record = await app.load_record()
        assert kept is not None
        assert (record.state, record.secret) == ("active", kept.secret)
        assert record.revision != kept.revision, "a delete that is still on its way finds nothing to delete"
        await core.auth.log_out()
        assert core.auth.current_user is None
    assert app.observer.kinds == [(user, None, None), (user, user, StoreUnavailableError), (None, user, None)]


async def test_a_user_that_was_forgotten_without_an_answer_is_put_back(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        app.store.at(AFTER_FORGET, raising(StoreUnavailableError("the connection ended after the commit")))
        with pytest.raises(StoreUnavailableError):
            await core.auth.log_out()
        assert core.auth.current_user == user
        assert await core.auth.ensure_user() == user
    assert (await app.load_record()).secret == user.anonymous_id
    assert app.server.users == 1


async def test_a_record_that_is_gone_already_is_success(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        await app.forget_record()
        await core.auth.log_out()
        assert core.auth.current_user is None
    assert app.observer.kinds == [(user, None, None), (None, user, None)]


async def test_a_user_that_another_process_has_logged_in_is_not_forgotten_unseen(app: App) -> None:
    user = await app.first_launch()
    other = await app.make_user_elsewhere()
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
    assert app.observer.kinds == [(user, None, None), (other, user, None), (None, other, None)]
