"""A change is made to the user that was shown, or not at all: several processes on one account."""

import asyncio
import pickle
from contextlib import AsyncExitStack

import attrs
import pytest

from mimi_async import (
    InvalidInputError,
    MimiUser,
    Profile,
    ProfileConfiguration,
    ServerUnreachableError,
    UserConflictError,
)
from mimi_async.testing import SentReply

from .launches import App, a_test
from .processes import Processes

USER = "/v1/user"
PATCH = ("PATCH", USER)
ANONYMOUS = ProfileConfiguration(allows_anonymous_user_only=True)


async def test_an_edit_of_a_user_that_was_changed_elsewhere_is_a_conflict_and_overwrites_nothing(
    processes: Processes,
) -> None:
    screen = await processes.other.present(Profile(ANONYMOUS))
    changed = await processes.one.auth.update_user(year_of_birth=1970)
    processes.app.observer.updates.clear()
    with pytest.raises(UserConflictError) as conflict:
        await screen.edit(year_of_birth=1990, sex=None)
    assert conflict.value.current_user == changed == processes.other.auth.current_user
    assert not conflict.value.retryable
    assert processes.app.observer.kinds == [(changed, screen.user, None)]
    assert await processes.one.auth.reload_user() == changed
    screen = await (await processes.other.present(Profile(ANONYMOUS))).edit(year_of_birth=1990, sex=None)
    assert screen.user is not None
    assert screen.user.year_of_birth == 1990


async def test_of_two_onboardings_in_two_processes_the_second_gets_the_conflict(app: App) -> None:
    async with app.core() as one, app.core() as other:
        screens = [await core.present(Profile(ANONYMOUS)) for core in (one, other)]
        first = await screens[0].onboard(year_of_birth=1980)
        with pytest.raises(UserConflictError) as conflict:
            await screens[1].onboard(year_of_birth=1990)
        assert conflict.value.current_user == first.user
        assert await one.auth.reload_user() == first.user
    assert app.server.users == 1


async def test_of_many_onboardings_at_the_same_time_one_is_kept(app: App) -> None:
    years = range(1970, 1976)
    async with AsyncExitStack() as stack:
        cores = [await stack.enter_async_context(app.core()) for _ in years]
        screens = [await core.present(Profile(ANONYMOUS)) for core in cores]
        onboardings = [screen.onboard(year_of_birth=year) for screen, year in zip(screens, years, strict=True)]
        results = await asyncio.gather(*onboardings, return_exceptions=True)
        kept = await cores[0].auth.reload_user()
    conflicts = [result for result in results if isinstance(result, UserConflictError)]
    assert len(conflicts) == len(years) - 1
    assert {conflict.current_user for conflict in conflicts} == {kept}
    assert [result.user for result in results if not isinstance(result, BaseException)] == [kept]
    assert app.server.users == 1


async def test_an_onboarding_whose_reply_was_lost_is_no_conflict(app: App) -> None:
    async with app.core() as core:
        screen = await core.present(Profile(ANONYMOUS))
        app.server.drop_reply(USER, method="PATCH")
        assert (await screen.onboard(year_of_birth=1980)).is_onboarded
        again = await (await core.present(Profile(ANONYMOUS))).edit(year_of_birth=1980, sex=None)
        assert again.is_onboarded


async def test_an_edit_that_failed_after_it_was_made_may_be_sent_again(processes: Processes) -> None:
    screen = await processes.one.present(Profile(ANONYMOUS))
    processes.app.server.drop_reply(USER, method="PATCH", times=3)
    with pytest.raises(ServerUnreachableError):
        await screen.edit(year_of_birth=1990, sex="male")
    shown = await screen.edit(year_of_birth=1990, sex="male")
    assert shown.user is not None
    assert (shown.user.year_of_birth, shown.user.sex) == (1990, "male")
    assert (await screen.edit(year_of_birth=1990, sex="male")).user == shown.user


async def test_a_new_hearing_test_is_a_change(processes: Processes) -> None:
    screen = await processes.other.present(Profile(ANONYMOUS))
    test = await processes.one.auth.submit_hearing_test(a_test())
    with pytest.raises(UserConflictError) as conflict:
        await screen.edit(year_of_birth=1990, sex=None)
    assert conflict.value.current_user.latest_hearing_test == test


async def test_an_edit_of_another_user_than_the_one_that_was_shown_is_a_conflict(app: App) -> None:
    async with app.core() as core:
        screen = await (await core.present(Profile(ANONYMOUS))).onboard(year_of_birth=1980)
        await core.auth.reset()
        new = await core.auth.ensure_user()
        for values in ({"year_of_birth": 1990, "sex": None}, {"year_of_birth": None, "sex": None}):
            with pytest.raises(UserConflictError) as conflict:
                await screen.edit(**values)
            assert conflict.value.current_user == new == core.auth.current_user


async def test_a_screen_that_follows_an_action_can_be_edited_and_asks_no_more_than_it_must(app: App) -> None:
    async with app.core() as core:
        screen = await (await core.present(Profile(ANONYMOUS))).onboard(year_of_birth=1980, hearing_test=a_test())
        screen = await screen.edit(year_of_birth=1981, sex=None)
        app.clear_records()
        screen = await screen.edit(year_of_birth=1982, sex=None)
        assert app.asked == [PATCH]


async def test_update_user_expects_nothing_by_default(processes: Processes) -> None:
    old = processes.other.auth.current_user
    await processes.one.auth.update_user(year_of_birth=1970)
    with pytest.raises(UserConflictError):
        await processes.other.auth.update_user(sex="male", if_unchanged=old)
    assert (await processes.other.auth.update_user(sex="male")).year_of_birth == 1970
    with pytest.raises(InvalidInputError, match="if_unchanged is a MimiUser"):
        await processes.other.auth.update_user(sex="male", if_unchanged="x")  # type: ignore[arg-type]


async def test_a_token_that_is_rejected_on_the_way_changes_nothing_of_it(processes: Processes) -> None:
    screen = await processes.other.present(Profile(ANONYMOUS))
    processes.app.server.revoke_tokens()
    assert (await screen.edit(year_of_birth=1990, sex=None)).user is not None
    processes.app.server.revoke_tokens()
    changed = await processes.one.auth.update_user(year_of_birth=1970)
    processes.app.server.revoke_tokens()
    with pytest.raises(UserConflictError) as conflict:
        await screen.edit(year_of_birth=1991, sex=None)
    assert conflict.value.current_user == changed


async def test_a_server_that_gives_no_versions_is_asked_and_compared(processes: Processes) -> None:
    def without(reply: SentReply) -> SentReply:
        return attrs.evolve(reply, headers={name: it for name, it in reply.headers.items() if name.lower() != "etag"})

    processes.app.server.rewrite(USER, without, times=None)
    screen = await processes.other.present(Profile(ANONYMOUS))
    assert (await screen.edit(year_of_birth=1990, sex=None)).user is not None
    with pytest.raises(UserConflictError):
        await screen.edit(year_of_birth=1991, sex=None)


async def test_a_conflict_carries_no_user_to_another_process_and_shows_no_data() -> None:
    user = MimiUser(id="1" * 32, anonymous_id=None, year_of_birth=1980)  # type: ignore[arg-type]
    error = UserConflictError("changed", current_user=user)
    assert pickle.loads(pickle.dumps(error)).current_user is None  # noqa: S301 - our own
    assert error.copy().current_user is user
    assert "1980" not in repr(error)
