"""What a user says about itself: kept at the server, carried by the user, and nothing that could name a person."""

import asyncio
import datetime as dt
import json
from typing import Any

import aiohttp
import attrs
import pytest

from mimi_async import (
    AnonymityViolationError,
    Audiogram,
    HearingTestResult,
    InvalidInputError,
    LogInAnonymously,
    NotAuthenticatedError,
    Profile,
    ProfileConfiguration,
    ServerUnreachableError,
    wire,
)
from mimi_async.identity import CreateKey, Secret
from mimi_async.stores import MemoryStore
from mimi_async.testing import SentReply

from .launches import App

USER = "/v1/user"
TESTS = "/v1/user/hearing-tests"
QUIET = Audiogram(dict.fromkeys((250, 500, 1000, 2000, 4000, 8000), 15.0))


def a_test(minute: int = 0) -> HearingTestResult:
    taken_at = dt.datetime(2026, 3, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=minute)
    return HearingTestResult(taken_at=taken_at, calibrated=False, left=QUIET, right=QUIET)


async def test_a_change_is_kept_told_and_found_on_the_next_launch(app: App) -> None:
    async with app.core() as core:
        new = await core.auth.ensure_user()
        user = await core.auth.update_user(year_of_birth=1980, sex="intersex")
        assert core.auth.current_user == user
        assert (user.year_of_birth, user.sex, user.is_onboarded) == (1980, "intersex", True)
    assert app.news.kinds == [(new, None, None), (user, new, None)]
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


async def test_a_change_that_changes_nothing_is_not_told(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        assert await core.auth.update_user(year_of_birth=1980) == user
        assert await core.auth.update_user() == user
        assert await core.auth.reload_user() == user
    assert app.news.kinds == [(user, None, None)]


async def test_a_reload_tells_what_another_product_has_changed(app: App) -> None:
    old = await app.first_launch()
    async with app.core() as core:
        async with app.core(store=MemoryStore()) as product:
            await product.auth.authenticate(LogInAnonymously(old.anonymous_id))
            await product.auth.update_user(sex="male")
        app.news.told.clear()
        new = await core.auth.reload_user()
        assert new.sex == "male"
    assert app.news.kinds == [(new, old, None)]
    assert app.store.writes == []


@pytest.mark.parametrize("year", [1899, dt.datetime.now(dt.UTC).year - 17, 0, -1, 1980.0, "1980", True, b"1980"])
async def test_a_year_of_birth_that_no_adult_has_is_refused_here(app: App, year: Any) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        with pytest.raises(InvalidInputError, match="1900"):
            await core.auth.update_user(year_of_birth=year)
        assert core.auth.current_user == user
    assert app.asked == [("POST", "/v1/sessions")]
    assert app.news.kinds == [(user, None, None)]


@pytest.mark.parametrize("sex", ["Female", "", "unknown", 1, b"male"])
async def test_a_sex_that_the_server_does_not_keep_is_refused_here(app: App, sex: Any) -> None:
    await app.first_launch()
    async with app.core() as core:
        with pytest.raises(InvalidInputError, match="female, male, intersex"):
            await core.auth.update_user(sex=sex)
    assert app.asked == [("POST", "/v1/sessions")]


async def test_a_hearing_test_is_kept_once_when_the_reply_is_lost(app: App) -> None:
    await app.first_launch()
    async with app.core() as core:
        app.server.drop_reply(TESTS, method="POST")
        test = await core.auth.submit_hearing_test(a_test())
        assert [kept async for kept in core.auth.hearing_tests()] == [test]
        assert test.id is not None
        assert attrs.evolve(test, id=None) == a_test()
    assert app.asked.count(("POST", TESTS)) == 2


async def test_a_hearing_test_is_kept_once_when_the_token_is_rejected(app: App) -> None:
    await app.first_launch()
    async with app.core() as core:
        app.server.revoke_tokens()
        test = await core.auth.submit_hearing_test(a_test())
        assert [kept async for kept in core.auth.hearing_tests()] == [test]


async def test_the_user_carries_the_newest_hearing_test(app: App) -> None:
    old = await app.first_launch()
    async with app.core() as core:
        late = await core.auth.submit_hearing_test(a_test(2))
        user = core.auth.current_user
        assert user is not None
        assert user.latest_hearing_test == late
        early = await core.auth.submit_hearing_test(a_test(1))
        assert core.auth.current_user == user
        assert await core.auth.reload_user() == user
        assert [kept async for kept in core.auth.hearing_tests()] == [late, early]
    assert app.news.kinds == [(old, None, None), (user, old, None)]
    async with app.core() as core:
        assert core.auth.current_user == user


async def test_all_hearing_tests_are_listed_page_by_page_newest_first(app: App) -> None:
    await app.first_launch()
    async with app.core() as core:
        submitted = [await core.auth.submit_hearing_test(a_test(minute)) for minute in range(101)]
        app.forget_the_past()
        assert [kept async for kept in core.auth.hearing_tests()] == submitted[::-1]
    assert app.asked == [("GET", TESTS)] * 3


async def test_a_list_of_hearing_tests_never_goes_on_with_another_user(app: App) -> None:
    await app.first_launch()
    async with app.core() as core:
        await asyncio.gather(*(core.auth.submit_hearing_test(a_test(minute)) for minute in range(60)))
        tests = core.auth.hearing_tests()
        await anext(tests)
        await core.auth.log_out()
        await core.auth.ensure_user()
        with pytest.raises(NotAuthenticatedError, match="has changed"):
            _ = [test async for test in tests]


@pytest.mark.parametrize("result", [None, {}, "a result", QUIET])
async def test_a_hearing_test_of_another_type_is_refused_here(app: App, result: Any) -> None:
    await app.first_launch()
    async with app.core() as core:
        with pytest.raises(InvalidInputError, match="HearingTestResult"):
            await core.auth.submit_hearing_test(result)
    assert app.asked == [("POST", "/v1/sessions")]


async def test_a_hearing_test_that_fails_leaves_the_user(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        app.server.drop_request(TESTS, times=3)
        with pytest.raises(ServerUnreachableError):
            await core.auth.submit_hearing_test(a_test())
        assert core.auth.current_user == user
    assert app.news.kinds == [(user, None, None), (user, user, ServerUnreachableError)]


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


# Nobody gets a name ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["name", "first_name", "email", "e_mail", "phone", "username", "is_anonymous"])
async def test_no_request_of_the_contract_can_add_a_name(app: App, field: str) -> None:
    user = await app.first_launch()
    async with app.core() as core, aiohttp.ClientSession(app.server.url) as stranger:
        token = core.auth._token
        assert token is not None
        bearer = {"Authorization": f"Bearer {token.reveal()}"}
        client = app.server.credentials
        basic = {"Authorization": aiohttp.encode_basic_auth(client.client_id, client.secret.reveal())}
        key = CreateKey.fresh()
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
    assert app.news.kinds == [(user, None, None), (user, user, AnonymityViolationError)]


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


async def test_a_hearing_test_that_is_submitted_again_under_its_key_is_kept_once(app: App) -> None:
    await app.first_launch()
    key = Secret("k" * 32)
    async with app.core() as core:
        first = await core.auth.submit_hearing_test(a_test(), key=key)
        assert await core.auth.submit_hearing_test(a_test(minute=1), key=key) == first
        other = await core.auth.submit_hearing_test(a_test(minute=2), key=Secret("l" * 32))
        assert [kept async for kept in core.auth.hearing_tests()] == [other, first]


async def test_a_key_that_could_be_guessed_is_refused(app: App) -> None:
    await app.first_launch()
    async with app.core() as core:
        with pytest.raises(InvalidInputError):
            await core.auth.submit_hearing_test(a_test(), key=Secret("1"))
        assert [kept async for kept in core.auth.hearing_tests()] == []
