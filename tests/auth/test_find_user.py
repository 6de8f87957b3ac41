"""The user as it is now: another product may have changed it, erased it, or made the first one."""

import pytest

from mimi_async import (
    AnonymousId,
    ErasedAnonymousIdError,
    ForciblyLoggedOutError,
    LogInAnonymously,
    ServerBusyError,
    StoreConflictError,
    StoreUnavailableError,
    UnknownAnonymousIdError,
)

from ..doubles import an_id
from .launches import ACCOUNT, App, raising, returning


async def test_finds_what_another_product_has_changed(app: App) -> None:
    old = await app.first_launch()
    async with app.core() as core:
        async with app.product() as product:
            await product.auth.authenticate(LogInAnonymously(old.anonymous_id))
            new = await product.auth.update_user(sex="male")
        app.observer.updates.clear()
        assert await core.auth.find_user() == new == core.auth.current_user
    assert app.observer.kinds == [(new, old, None)]
    assert app.store.writes == []


async def test_finds_the_first_user_that_another_product_has_made(app: App) -> None:
    ids: dict[str, AnonymousId] = {}

    async def known_id(account: str) -> AnonymousId | None:
        return ids.get(account)

    async with app.core(known_id=known_id) as core:
        assert await core.auth.find_user() is None
        user = await app.make_user_elsewhere()
        ids[ACCOUNT] = user.anonymous_id
        assert await core.auth.find_user() == user == core.auth.current_user
    assert app.observer.kinds == [(user, None, None)]
    assert app.server.users == 1


async def test_finds_that_another_product_has_erased_the_user(app: App) -> None:
    old = await app.first_launch()
    async with app.core() as core:
        await app.erase_elsewhere(old)
        assert await core.auth.find_user() is None
        assert core.auth.gate.is_open
    assert app.observer.kinds == [(None, old, ErasedAnonymousIdError)]
    assert await app.record() is None


async def test_creates_no_user(app: App) -> None:
    async with app.core() as core:
        assert await core.auth.find_user() is None
    assert (app.asked, app.store.writes, app.observer.updates) == ([], [], [])


async def test_a_server_that_does_not_answer_is_no_verdict(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        app.server.fail(times=None)
        with pytest.raises(ServerBusyError):
            await core.auth.find_user()
        assert core.auth.current_user == user
    assert app.store.writes == []


async def test_an_account_service_that_does_not_answer_never_means_no_user(app: App) -> None:
    answers = [returning(None), raising(OSError("down"))]

    async def known_id(account: str) -> AnonymousId | None:
        answer: AnonymousId | None = await answers.pop(0)(account)
        return answer

    async with app.core(known_id=known_id) as core:
        with pytest.raises(StoreUnavailableError):
            await core.auth.find_user()


async def test_an_id_that_the_server_does_not_know_shuts_the_gate(app: App) -> None:
    answers = [None, an_id(1), an_id(1)]

    async def known_id(account: str) -> AnonymousId | None:
        return answers.pop(0)

    async with app.core(known_id=known_id) as core:
        with pytest.raises(UnknownAnonymousIdError):
            await core.auth.find_user()
        assert not core.auth.gate.is_open
        with pytest.raises(UnknownAnonymousIdError):
            await core.auth.ensure_user()
    assert app.server.users == 0


async def test_a_user_that_the_server_no_longer_knows_is_forced_out(app: App) -> None:
    old = await app.first_launch()
    async with app.core() as core:
        app.server.revoke_tokens()
        app.server.fail("/v1/sessions", problem="unknown-anonymous-id")
        app.observer.updates.clear()
        with pytest.raises(ForciblyLoggedOutError):
            await core.auth.find_user()
        assert not core.auth.gate.is_open
    assert app.observer.kinds == [(None, old, ForciblyLoggedOutError)]


async def test_finds_that_another_process_on_the_same_store_has_logged_out(app: App) -> None:
    old = await app.first_launch()
    async with app.core() as core:
        async with app.core() as process:
            await process.auth.log_out()
        app.server.revoke_tokens()
        app.observer.updates.clear()
        assert await core.auth.find_user() is None
    assert app.observer.kinds == [(None, old, None)]


async def test_a_store_that_conflicts_again_and_again_is_no_answer(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    user = await app.first_launch()
    async with app.core() as core:

        async def conflict(*_: object) -> None:
            msg = "changed again and again"
            raise StoreConflictError(msg)

        app.server.revoke_tokens()
        monkeypatch.setattr("mimi_async.auth.actions.resolve", conflict)
        with pytest.raises(StoreConflictError):
            await core.auth.find_user()
        assert core.auth.current_user == user


async def test_finds_the_user_that_another_product_has_made_in_place_of_an_erased_one(app: App) -> None:
    old = await app.first_launch()
    ids: dict[str, AnonymousId] = {ACCOUNT: old.anonymous_id}

    async def known_id(account: str) -> AnonymousId | None:
        return ids.get(account)

    async with app.core(known_id=known_id) as core:
        async with app.product() as product:
            await product.auth.authenticate(LogInAnonymously(old.anonymous_id))
            await product.auth.reset()
            new = await product.auth.ensure_user()
        ids[ACCOUNT] = new.anonymous_id
        app.clear_records()
        assert await core.auth.find_user() == new == core.auth.current_user
    assert app.observer.kinds == [(None, old, ErasedAnonymousIdError), (new, None, None)]
    assert app.server.users == 1
