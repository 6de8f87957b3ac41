"""The hearing tests of a user: kept once, in the order of the server, deleted for good."""

import asyncio
import datetime as dt
from typing import Any

import attrs
import pytest

from mimi_async import InvalidInputError, NotAuthenticatedError, ServerUnreachableError
from mimi_async.secret import Secret

from .launches import QUIET, App, a_test

USER = "/v1/user"
TESTS = "/v1/user/hearing-tests"


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


async def test_the_user_carries_the_hearing_test_that_the_server_received_last(app: App) -> None:
    """Whatever the clocks of clients say of when a test was taken."""
    old = await app.first_launch()
    async with app.core() as core:
        first = await core.auth.submit_hearing_test(a_test(2))
        between = core.auth.current_user
        last = await core.auth.submit_hearing_test(a_test(1))
        user = core.auth.current_user
        assert user == attrs.evolve(old, latest_hearing_test=last)
        assert await core.auth.reload_user() == user
        assert [kept async for kept in core.auth.hearing_tests()] == [last, first]
    assert app.observer.kinds == [(old, None, None), (between, old, None), (user, between, None)]
    async with app.core() as core:
        assert core.auth.current_user == user


async def test_a_test_that_is_submitted_again_does_not_become_the_latest(app: App) -> None:
    await app.first_launch()
    async with app.core() as core:
        first = await core.auth.submit_hearing_test(a_test(9), key=Secret("k" * 32))
        await core.auth.submit_hearing_test(a_test(1))
        user = core.auth.current_user
        assert await core.auth.submit_hearing_test(a_test(9), key=Secret("k" * 32)) == first
        assert core.auth.current_user == user


async def test_a_test_whose_reply_was_lost_is_the_latest_all_the_same(app: App) -> None:
    await app.first_launch()
    async with app.core() as core:
        app.server.drop_reply(TESTS, method="POST")
        test = await core.auth.submit_hearing_test(a_test())
        assert core.auth.current_user is not None
        assert core.auth.current_user.latest_hearing_test == test


async def test_a_test_of_a_clock_that_is_ahead_is_refused_and_leaves_the_user(app: App) -> None:
    user = await app.first_launch()
    ahead = attrs.evolve(a_test(), taken_at=dt.datetime.now(dt.UTC) + dt.timedelta(days=2))
    async with app.core() as core:
        with pytest.raises(InvalidInputError):
            await core.auth.submit_hearing_test(ahead)
        assert core.auth.current_user == user
        assert [kept async for kept in core.auth.hearing_tests()] == []


async def test_the_latest_test_that_is_deleted_is_announced_with_the_one_before(app: App) -> None:
    old = await app.first_launch()
    async with app.core() as core:
        first, last = [await core.auth.submit_hearing_test(a_test(minute)) for minute in range(2)]
        app.observer.updates.clear()
        assert last.id is not None
        await core.auth.delete_hearing_test(last.id)
        user = core.auth.current_user
        assert user == attrs.evolve(old, latest_hearing_test=first)
        assert [kept async for kept in core.auth.hearing_tests()] == [first]
        assert first.id is not None
        await core.auth.delete_hearing_test(first.id)
        assert core.auth.current_user == old
    assert [(update.current, update.error) for update in app.observer.updates] == [(user, None), (old, None)]


async def test_an_earlier_test_that_is_deleted_is_not_announced_and_may_be_deleted_again(app: App) -> None:
    await app.first_launch()
    async with app.core() as core:
        first, last = [await core.auth.submit_hearing_test(a_test(minute)) for minute in range(2)]
        user = core.auth.current_user
        app.observer.updates.clear()
        app.server.drop_reply(f"{TESTS}/{first.id}")
        for _ in range(2):
            await core.auth.delete_hearing_test(str(first.id))
        assert [kept async for kept in core.auth.hearing_tests()] == [last]
        assert core.auth.current_user == user
    assert app.observer.updates == []


@pytest.mark.parametrize("test_id", ["..", "", "a/b", "?", None, 7])
async def test_an_id_that_is_none_of_a_hearing_test_is_refused_here(test_id: Any, app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        with pytest.raises(InvalidInputError, match="id of a hearing test"):
            await core.auth.delete_hearing_test(test_id)
        assert await core.auth.reload_user() == user
    assert ("DELETE", USER) not in app.asked


async def test_all_hearing_tests_are_listed_page_by_page_newest_first(app: App) -> None:
    await app.first_launch()
    async with app.core() as core:
        submitted = [await core.auth.submit_hearing_test(a_test(minute)) for minute in range(101)]
        app.clear_records()
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
    assert app.observer.kinds == [(user, None, None), (user, user, ServerUnreachableError)]


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
