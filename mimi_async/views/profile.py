"""The profile and its launcher (guide, step 4). They offer no log-in and no sign-up: the user stays anonymous."""

from enum import StrEnum

import attrs

from ..auth.controller import AuthController
from ..errors import AnonymousUserOnlyError, InvalidInputError, NotAuthenticatedError
from ..hearing.results import HearingTestResult
from ..identity import MimiUser, Sex, validate_sex, validate_year_of_birth
from .test_flow import TestFlow, TestScreen


class Action(StrEnum):
    """An action that a screen offers."""

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
    """What the profile shows and offers at one moment. Each action returns the next screen.

    An action changes the user that the screen shows, or nothing: where another process changed the user since then, it
    raises `UserConflictError`, whose `current_user` is what a new screen shows.

    Attributes:
        user: The user, or None before onboarding.
        is_onboarded: Whether the introduction is skipped.
        actions: The actions that the screen offers.

    Raises:
        MimiError: From an action, as the method of `AuthController` that it names.
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
        """Onboard by a year of birth, a hearing test or both; create the anonymous user if there is none.

        Raises:
            InvalidInputError: Neither is given, or a value is out of range: no user was created.
            UserConflictError: Another process onboarded or changed the user since this screen was made, to other
                values.
            MimiError: As `AuthController.ensure_user`, `update_user` and `submit_hearing_test`.
        """
        validate_year_of_birth(year_of_birth)
        validate_sex(sex)
        if year_of_birth is None and hearing_test is None:
            msg = "onboarding takes a year of birth, a hearing test or both"
            raise InvalidInputError(msg)
        if hearing_test is not None and not isinstance(hearing_test, HearingTestResult):
            msg = f"hearing_test is a HearingTestResult, not a {type(hearing_test).__name__}"
            raise InvalidInputError(msg)
        user = await self._auth.ensure_user()
        shown = self.user or MimiUser(id=user.id, anonymous_id=user.anonymous_id)
        given = {name: value for name, value in (("year_of_birth", year_of_birth), ("sex", sex)) if value is not None}
        if given:
            await self._auth.update_user(**given, if_unchanged=shown)  # type: ignore[arg-type]  # checked above
        if hearing_test is not None:
            await self._auth.submit_hearing_test(hearing_test)
        return _make_screen(self._auth, self._auth.current_user)

    async def edit(self, *, year_of_birth: int | None, sex: Sex | None) -> "ProfileScreen":
        """Change the year of birth and the sex; None clears a value.

        Raises:
            NotAuthenticatedError: There is no user.
            UserConflictError: Another process changed the user since this screen was made, to other values.
            MimiError: As `AuthController.update_user`.
        """
        if self.user is None:
            msg = "this screen shows no user to edit: onboard first"
            raise NotAuthenticatedError(msg)
        user = await self._auth.update_user(year_of_birth=year_of_birth, sex=sex, if_unchanged=self.user)
        return _make_screen(self._auth, user)

    async def take_hearing_test(self) -> TestScreen:
        """Begin a hearing test; create the anonymous user if there is none, as `ensure_user`."""
        await self._auth.ensure_user()
        return await TestFlow()(self._auth)

    async def keep_hearing_test(self, result: HearingTestResult) -> "ProfileScreen":
        """Store the result of a hearing test with the user, as `submit_hearing_test`."""
        await self._auth.submit_hearing_test(result)
        return _make_screen(self._auth, self._auth.current_user)

    async def delete_hearing_test(self, test_id: str) -> "ProfileScreen":
        """Delete a hearing test of the user, as `delete_hearing_test`. Ask the person for a confirmation first."""
        await self._auth.delete_hearing_test(test_id)
        return _make_screen(self._auth, self._auth.current_user)

    async def export(self) -> bytes:
        """Return everything that the server holds about the user, as JSON, as `export_data`."""
        return await self._auth.export_data()

    async def reset(self) -> "ProfileScreen":
        """Erase the profile permanently, as `reset`. Ask the person for a confirmation first."""
        await self._auth.reset()
        return _make_screen(self._auth, self._auth.current_user)


@attrs.frozen(kw_only=True)
class LauncherScreen:
    """The card that leads to the profile, in one of two states.

    Attributes:
        user: The user, or None before onboarding.
        is_onboarded: Whether the card shows the profile, or invites to create one.
    """

    user: MimiUser | None
    is_onboarded: bool
    _auth: AuthController = attrs.field(repr=False, eq=False)

    async def open(self) -> ProfileScreen:
        """Show the profile. Raises the errors of a presented `Profile`."""
        return await _load_screen(self._auth)


def _validate_anonymous_only(_: object, __: object, configuration: ProfileConfiguration) -> None:
    if not isinstance(configuration, ProfileConfiguration) or configuration.allows_anonymous_user_only is not True:
        msg = "an anonymous user must not become a named one: ProfileConfiguration(allows_anonymous_user_only=True)"
        raise AnonymousUserOnlyError(msg)


@attrs.frozen
class Profile:
    """The hearing profile, a view: `await core.present(Profile(configuration))` returns its screen.

    What it shows is fresh: it reads a user again that was read longer ago than `MimiCore(user_max_age=…)`.

    Raises:
        AnonymousUserOnlyError: The configuration does not say `allows_anonymous_user_only=True`.
        MimiError: When presented: as `AuthController.find_user`, such as a retryable `ServerError` where the user
            can't be read again. No screen shows a user that may be stale.
    """

    configuration: ProfileConfiguration = attrs.field(validator=_validate_anonymous_only)

    async def __call__(self, auth: AuthController) -> ProfileScreen:
        """Return the screen; called by `MimiCore.present`."""
        return await _load_screen(auth)


@attrs.frozen
class ProfileLauncher:
    """The card that leads to the profile, a view. MimiSDK removed it with iOS 11; the guide still names it.

    What it shows is fresh, as in `Profile`.

    Raises:
        AnonymousUserOnlyError: The configuration does not say `allows_anonymous_user_only=True`.
        MimiError: When presented: as `Profile`.
    """

    configuration: ProfileConfiguration = attrs.field(validator=_validate_anonymous_only)

    async def __call__(self, auth: AuthController) -> LauncherScreen:
        """Return the screen; called by `MimiCore.present`."""
        user = await auth.find_user(max_age=auth.user_max_age)
        return LauncherScreen(user=user, is_onboarded=user is not None and user.is_onboarded, auth=auth)


_TO_ONBOARD = frozenset({Action.ONBOARD, Action.TAKE_HEARING_TEST})
_WITH_USER = frozenset({Action.TAKE_HEARING_TEST, Action.EDIT, Action.EXPORT, Action.RESET})


async def _load_screen(auth: AuthController) -> ProfileScreen:
    return _make_screen(auth, await auth.find_user(max_age=auth.user_max_age))


def _make_screen(auth: AuthController, user: MimiUser | None) -> ProfileScreen:
    is_onboarded = user is not None and user.is_onboarded
    actions = (_WITH_USER if user else frozenset[Action]()) | (frozenset() if is_onboarded else _TO_ONBOARD)
    return ProfileScreen(user=user, is_onboarded=is_onboarded, actions=actions, auth=auth)
