"""What a user says about itself: kept at the server, carried by the user, and nothing that could name a person."""

import datetime as dt
import json
from typing import Any

import aiohttp
import attrs
import pytest

from mimi_async import AnonymityViolationError, InvalidInputError, LogInAnonymously, Profile, ProfileConfiguration, wire
from mimi_async.secret import CreateKey
from mimi_async.testing import SentReply

from ..internals import state_of
from .launches import App, a_test

USER = "/v1/user"
TESTS = "/v1/user/hearing-tests"


async def test_a_change_is_stored_delivered_and_found_on_the_next_launch(app: App) -> None:
    async with app.core() as core:
        new = await core.auth.ensure_user()
        user = await core.auth.update_user(year_of_birth=1980, sex="intersex")
        assert core.auth.current_user == user
        assert (user.year_of_birth, user.sex, user.is_onboarded) == (1980, "intersex", True)
    assert app.observer.kinds == [(new, None, None), (user, new, None)]
    async with app.core() as core:
        assert core.auth.current_user == user


async def test_none_clears_and_absent_keeps(app: App) -> None:
    async with app.core() as core:
        await core.auth.ensure_user()
        await core.auth.update_user(year_of_birth=1980, sex="female")
        user = await core.auth.update_user(year_of_birth=None)
        assert (user.year_of_birth, user.sex) == (None, "female")
        user = await core.auth.update_user(sex=None)
        assert (user.year_of_birth, user.sex) == (None, None)


async def test_a_change_without_effect_is_not_delivered(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        assert await core.auth.update_user(year_of_birth=1980) == user
        assert await core.auth.update_user() == user
        assert await core.auth.reload_user() == user
    assert app.observer.kinds == [(user, None, None)]


async def test_a_reload_delivers_the_change_of_another_product(app: App) -> None:
    old = await app.first_launch()
    async with app.core() as core:
        async with app.product() as product:
            await product.auth.authenticate(LogInAnonymously(old.anonymous_id))
            await product.auth.update_user(sex="male")
        app.observer.updates.clear()
        new = await core.auth.reload_user()
        assert new.sex == "male"
    assert app.observer.kinds == [(new, old, None)]
    assert app.store.writes == []


@pytest.mark.parametrize("year", [1899, dt.datetime.now(dt.UTC).year - 17, 0, -1, 1980.0, "1980", True, b"1980"])
async def test_a_year_of_birth_that_no_adult_has_is_refused_here(app: App, year: Any) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        with pytest.raises(InvalidInputError, match="1900"):
            await core.auth.update_user(year_of_birth=year)
        assert core.auth.current_user == user
    assert app.asked == [("POST", "/v1/sessions")]
    assert app.observer.kinds == [(user, None, None)]


@pytest.mark.parametrize("sex", ["Female", "", "unknown", 1, b"male"])
async def test_a_sex_that_the_server_does_not_keep_is_refused_here(app: App, sex: Any) -> None:
    await app.first_launch()
    async with app.core() as core:
        with pytest.raises(InvalidInputError, match="female, male, intersex"):
            await core.auth.update_user(sex=sex)
    assert app.asked == [("POST", "/v1/sessions")]


async def test_an_export_holds_all_that_is_held_and_no_id_that_opens_it(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        test = await core.auth.submit_hearing_test(a_test())
        exported = await core.auth.export_data()
    document = json.loads(exported)
    assert document["user"]["id"] == user.id
    assert document["user"]["year_of_birth"] == 1980
    assert [kept["id"] for kept in document["hearing_tests"]] == [test.id]
    assert user.anonymous_id.reveal().encode() not in exported


# No user gets a name -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["name", "first_name", "email", "e_mail", "phone", "username", "is_anonymous"])
async def test_no_request_of_the_contract_can_add_a_name(app: App, field: str) -> None:
    user = await app.first_launch()
    async with app.core() as core, aiohttp.ClientSession(app.server.url) as stranger:
        token = state_of(core.auth).token
        assert token is not None
        bearer = {"Authorization": f"Bearer {token.reveal()}"}
        client = app.server.credentials
        basic = {"Authorization": aiohttp.encode_basic_auth(client.client_id, client.secret.reveal())}
        key = CreateKey.generate()
        for request, headers in (
            (wire.patch_user({"sex": "female"}, token), bearer),
            (wire.submit_test(a_test(), key, token), bearer),
            (wire.create_user(key), basic),
            (wire.log_in(user.anonymous_id), basic),
        ):
            assert request.body is not None
            body = json.loads(request.body) | {field: "Jo"}
            fields = {**headers, "Idempotency-Key": key.reveal()}
            async with stranger.request(request.method, request.path, json=body, headers=fields) as reply:
                assert reply.status == 422
        assert b"Jo" not in await core.auth.export_data()
        assert await core.auth.reload_user() == user
    assert app.server.users == 1


@pytest.mark.parametrize("call", ["update_user", "reload_user"])
async def test_a_reply_that_names_a_person_changes_nothing(app: App, call: str) -> None:
    user = await app.first_launch()

    def named(reply: SentReply) -> SentReply:
        return attrs.evolve(reply, body=json.dumps(json.loads(reply.body) | {"email": "jo@example.com"}).encode())

    async with app.core() as core:
        app.server.rewrite(USER, named)
        with pytest.raises(AnonymityViolationError):
            await getattr(core.auth, call)()
        assert core.auth.current_user == user
    assert app.observer.kinds == [(user, None, None), (user, user, AnonymityViolationError)]


async def test_the_profile_makes_the_user_by_itself_and_keeps_what_the_person_says(app: App) -> None:
    async with app.core() as core:
        screen = await core.present(Profile(ProfileConfiguration(allows_anonymous_user_only=True)))
        assert screen.user is None
        with pytest.raises(InvalidInputError):
            await screen.onboard(year_of_birth=2020)
        assert app.server.users == 0
        screen = await screen.onboard(year_of_birth=1980, hearing_test=a_test())
        assert screen.is_onboarded
    async with app.core() as core:
        assert core.auth.current_user == screen.user
    assert app.server.users == 1
