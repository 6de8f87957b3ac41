from typing import Any

import pytest

from mimi_async import (
    Action,
    AnonymousUserOnlyError,
    InvalidInputError,
    MimiCore,
    NotAuthenticatedError,
    Profile,
    ProfileConfiguration,
    ProfileLauncher,
    ProfileScreen,
    ServerUnreachableError,
)

from ..doubles import HEARING_TEST, FakeServer, Observer, core_of, store_with

ANONYMOUS = ProfileConfiguration(allows_anonymous_user_only=True)
WITH_USER = {Action.TAKE_HEARING_TEST, Action.EDIT, Action.EXPORT, Action.RESET}


@pytest.mark.parametrize("view", [Profile, ProfileLauncher])
@pytest.mark.parametrize(
    "configuration",
    [
        ProfileConfiguration(),
        ProfileConfiguration(allows_anonymous_user_only=False),
        ProfileConfiguration(allows_anonymous_user_only=1),  # type: ignore[arg-type]  # truthy is not True
        None,
        True,
    ],
)
def test_a_view_that_could_lead_to_a_named_user_is_refused_before_it_is_presented(
    view: Any, configuration: Any
) -> None:
    with pytest.raises(AnonymousUserOnlyError, match="allows_anonymous_user_only=True"):
        view(configuration)


def test_no_action_of_any_screen_is_a_log_in_or_a_sign_up() -> None:
    assert {action.value for action in Action} == {"onboard", "take_hearing_test", "edit", "export", "reset"}


async def test_the_profile_before_onboarding_shows_and_creates_no_user(core: MimiCore, server: FakeServer) -> None:
    screen = await core.present(Profile(ANONYMOUS))
    assert (screen.user, screen.is_onboarded) == (None, False)
    assert screen.actions == {Action.ONBOARD, Action.TAKE_HEARING_TEST}
    assert server.requests == []


async def test_onboarding_makes_the_user_if_there_is_none_and_the_observer_learns_it(
    core: MimiCore, server: FakeServer
) -> None:
    updates = Observer()
    core.observe(updates)
    screen = await (await core.present(Profile(ANONYMOUS))).onboard(year_of_birth=1980, sex="female")
    assert screen.user is not None
    assert (screen.user.year_of_birth, screen.user.sex, screen.is_onboarded) == (1980, "female", True)
    assert screen.actions == WITH_USER
    assert len(server.users) == 1
    assert updates.updates[0].old is None
    assert updates.updates[-1].current == screen.user


async def test_a_hearing_test_alone_onboards(core: MimiCore) -> None:
    screen = await (await core.present(Profile(ANONYMOUS))).onboard(hearing_test=HEARING_TEST)
    assert screen.is_onboarded
    assert screen.user is not None
    assert screen.user.latest_hearing_test is not None


async def test_a_user_without_data_is_still_to_be_onboarded(core: MimiCore) -> None:
    await core.auth.ensure_user()
    screen = await core.present(Profile(ANONYMOUS))
    assert not screen.is_onboarded
    assert screen.actions == WITH_USER | {Action.ONBOARD}


@pytest.mark.parametrize(
    "said",
    [{}, {"sex": "female"}, {"year_of_birth": 2020}, {"year_of_birth": 1980, "sex": "x"}, {"hearing_test": "loud"}],
)
async def test_onboarding_with_bad_input_makes_no_user(said: Any, core: MimiCore, server: FakeServer) -> None:
    screen = await core.present(Profile(ANONYMOUS))
    with pytest.raises(InvalidInputError):
        await screen.onboard(**said)
    assert server.requests == []


async def test_onboarding_that_fails_may_be_done_again_and_makes_one_user(core: MimiCore, server: FakeServer) -> None:
    screen = await core.present(Profile(ANONYMOUS))
    server.script = [None, ServerUnreachableError("down")]
    with pytest.raises(ServerUnreachableError):
        await screen.onboard(year_of_birth=1980)
    assert (await screen.onboard(year_of_birth=1980)).is_onboarded
    assert len(server.users) == 1


async def test_the_actions_of_the_profile_return_the_screen_that_comes_next(core: MimiCore, server: FakeServer) -> None:
    screen: ProfileScreen = await (await core.present(Profile(ANONYMOUS))).onboard(year_of_birth=1980)
    screen = await screen.edit(year_of_birth=1990, sex=None)
    assert screen.user is not None
    assert screen.user.year_of_birth == 1990
    screen = await screen.keep_hearing_test(HEARING_TEST)
    assert screen.user is not None
    assert screen.user.latest_hearing_test is not None
    assert await screen.export()
    screen = await screen.reset()
    assert screen.user is None
    assert screen.actions == {Action.ONBOARD, Action.TAKE_HEARING_TEST}
    assert server.users == {}
    with pytest.raises(NotAuthenticatedError):
        await screen.edit(year_of_birth=1990, sex=None)


async def test_the_launcher_shows_which_profile_it_opens(server: FakeServer) -> None:
    known = server.add_user()
    async with core_of(server, store=await store_with(known)) as core:
        launcher = await core.present(ProfileLauncher(ANONYMOUS))
        assert launcher.user == core.auth.current_user
        assert not launcher.is_onboarded
        await (await launcher.open()).onboard(year_of_birth=1980)
        assert (await core.present(ProfileLauncher(ANONYMOUS))).is_onboarded
