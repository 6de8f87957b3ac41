"""The profile and its launcher (guide, step 4). There is no log-in and no sign-up in them: nobody gets a name."""

from enum import StrEnum

import attrs

from ..auth.controller import AuthController
from ..errors import AnonymousUserOnlyError, InvalidInputError
from ..hearing.results import HearingTestResult
from ..identity import MimiUser, Sex, checked_sex, checked_year_of_birth
from .test_flow import TestFlow, TestScreen


class Action(StrEnum):
    """What a person may do on a screen."""

    ONBOARD = "onboard"
    TAKE_HEARING_TEST = "take_hearing_test"
    EDIT = "edit"
    EXPORT = "export"
    RESET = "reset"


@attrs.frozen(kw_only=True)
class ProfileConfiguration:
    """How the profile is shown (guide: MimiProfileConfiguration).

    Attributes:
        allows_anonymous_user_only: Must be True before a profile or launcher is presented; False by default, as in the
            guide.
    """

    allows_anonymous_user_only: bool = False


@attrs.frozen(kw_only=True)
class ProfileScreen:
    """What the profile shows and offers at one moment. The actions return the screen that comes next.

    Attributes:
        user: The user, or None before onboarding.
        is_onboarded: Whether the introduction is skipped.
        actions: What may be done.
    """

    user: MimiUser | None
    is_onboarded: bool
    actions: frozenset[Action]
    _auth: AuthController = attrs.field(repr=False, eq=False)

    async def onboard(
        self,
        *,
        year_of_birth: int | None = None,
        sex: Sex | None = None,
        hearing_test: HearingTestResult | None = None,
    ) -> "ProfileScreen":
        """Onboard by a year of birth, a hearing test or both; the anonymous user is made here if there is none.

        Raises:
            InvalidInputError: Neither is given, or a value is out of range: no user was made.
            MimiError: As `AuthController.ensure_user`, `update_user` and `submit_hearing_test`.
        """
        checked_year_of_birth(year_of_birth)
        checked_sex(sex)
        if year_of_birth is None and hearing_test is None:
            msg = "onboarding takes a year of birth, a hearing test or both"
            raise InvalidInputError(msg)
        if hearing_test is not None and not isinstance(hearing_test, HearingTestResult):
            msg = f"hearing_test is a HearingTestResult, not a {type(hearing_test).__name__}"
            raise InvalidInputError(msg)
        await self._auth.ensure_user()
        said = {name: value for name, value in (("year_of_birth", year_of_birth), ("sex", sex)) if value is not None}
        if said:
            await self._auth.update_user(**said)  # type: ignore[arg-type]  # checked above
        if hearing_test is not None:
            await self._auth.submit_hearing_test(hearing_test)
        return _screen(self._auth)

    async def edit(self, *, year_of_birth: int | None, sex: Sex | None) -> "ProfileScreen":
        """Change what the person said; None clears it.

        Raises:
            MimiError: As `AuthController.update_user`.
        """
        await self._auth.update_user(year_of_birth=year_of_birth, sex=sex)
        return _screen(self._auth)

    async def take_hearing_test(self) -> TestScreen:
        """Begin a hearing test; the anonymous user is made here if there is none.

        Raises:
            MimiError: As `AuthController.ensure_user`.
        """
        await self._auth.ensure_user()
        return await TestFlow()(self._auth)

    async def keep_hearing_test(self, result: HearingTestResult) -> "ProfileScreen":
        """Keep the result of a hearing test with the user.

        Raises:
            MimiError: As `AuthController.submit_hearing_test`.
        """
        await self._auth.submit_hearing_test(result)
        return _screen(self._auth)

    async def export(self) -> bytes:
        """Return everything that the server holds about the user, as JSON.

        Raises:
            MimiError: As `AuthController.export_data`.
        """
        return await self._auth.export_data()

    async def reset(self) -> "ProfileScreen":
        """Erase the profile for ever; show it only after the person has confirmed.

        Raises:
            MimiError: As `AuthController.reset`.
        """
        await self._auth.reset()
        return _screen(self._auth)


@attrs.frozen(kw_only=True)
class LauncherScreen:
    """The card that leads to the profile, in one of two states.

    Attributes:
        user: The user, or None before onboarding.
        is_onboarded: Whether it shows the profile or invites to make one.
    """

    user: MimiUser | None
    is_onboarded: bool
    _auth: AuthController = attrs.field(repr=False, eq=False)

    async def open(self) -> ProfileScreen:
        """Show the profile."""
        return _screen(self._auth)


def _anonymous_only(_: object, __: object, configuration: ProfileConfiguration) -> None:
    if not isinstance(configuration, ProfileConfiguration) or configuration.allows_anonymous_user_only is not True:
        msg = "an anonymous user must not become a named one: ProfileConfiguration(allows_anonymous_user_only=True)"
        raise AnonymousUserOnlyError(msg)


@attrs.frozen
class Profile:
    """The hearing profile, a view: `await core.present(Profile(configuration))` returns its screen.

    Raises:
        AnonymousUserOnlyError: The configuration does not say `allows_anonymous_user_only=True`.
    """

    configuration: ProfileConfiguration = attrs.field(validator=_anonymous_only)

    async def __call__(self, auth: AuthController) -> ProfileScreen:
        """Return the screen; called by `MimiCore.present`."""
        return _screen(auth)


@attrs.frozen
class ProfileLauncher:
    """The card that leads to the profile, a view. MimiSDK left it with iOS 11; the guide names it, so it is kept.

    Raises:
        AnonymousUserOnlyError: The configuration does not say `allows_anonymous_user_only=True`.
    """

    configuration: ProfileConfiguration = attrs.field(validator=_anonymous_only)

    async def __call__(self, auth: AuthController) -> LauncherScreen:
        """Return the screen; called by `MimiCore.present`."""
        user = auth.current_user
        return LauncherScreen(user=user, is_onboarded=user is not None and user.is_onboarded, auth=auth)


_TO_ONBOARD = frozenset({Action.ONBOARD, Action.TAKE_HEARING_TEST})
_WITH_USER = frozenset({Action.TAKE_HEARING_TEST, Action.EDIT, Action.EXPORT, Action.RESET})


def _screen(auth: AuthController) -> ProfileScreen:
    user = auth.current_user
    is_onboarded = user is not None and user.is_onboarded
    actions = (_WITH_USER if user else frozenset[Action]()) | (frozenset() if is_onboarded else _TO_ONBOARD)
    return ProfileScreen(user=user, is_onboarded=is_onboarded, actions=actions, auth=auth)
