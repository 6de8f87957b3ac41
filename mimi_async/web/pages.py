"""The pages of the profile: introduction, onboarding, the profile itself, results, editing, export and reset."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, TypeVar, cast

from aiohttp import hdrs, web

from ..auth.controller import AuthController
from ..hearing.estimate import Estimate, typical_for
from ..hearing.results import HearingTestResult
from ..identity import MimiUser, Sex
from .audiogram import chart
from .forms import BadYearError, sex, year_of_birth
from .numbers import Level, better_mean, is_limited, levels, worse_mean
from .troubles import OTHER_PROFILE
from .visit import Visit

EXPORT_NAME: Final = "hearing-profile.json"

_CONFLICT: Final = "edit.conflict"
_OTHER_ACCOUNT: Final = "onboarding.other-account"
_MOST_EARLIER: Final = 10

_T = TypeVar("_T")


async def profile(auth: AuthController, visit: Visit) -> web.Response:
    """Show the profile, or the introduction to who has none yet."""
    screen = await visit.site.profile(auth)
    if screen.user is None or not screen.is_onboarded:
        return visit.page("introduction", user=screen.user)
    return visit.page("profile", user=screen.user, **_heard(screen.user))


async def launcher(auth: AuthController, visit: Visit) -> web.Response:
    """Show the card that leads to the profile."""
    return visit.page("launcher", screen=await visit.site.launcher(auth))


async def results(auth: AuthController, visit: Visit) -> web.Response:
    """Show the newest hearing test, and those before it: what it may be compared with."""
    screen = await visit.site.profile(auth)
    if screen.user is None or screen.user.latest_hearing_test is None:
        return visit.goes_to("profile")
    earlier = await _earlier(auth, screen.user.latest_hearing_test)
    facts = _heard(screen.user)
    return visit.page("results", user=screen.user, earlier=earlier, **facts)


async def _earlier(auth: AuthController, newest: HearingTestResult) -> list[tuple[HearingTestResult, Level]]:
    """Return the tests before the newest one, newest first, each with the mean of its better ear."""
    found: list[tuple[HearingTestResult, Level]] = []
    listing = cast("AsyncGenerator[HearingTestResult, None]", auth.hearing_tests())  # closed where it is left early
    async with aclosing(listing) as tests:
        async for test in tests:
            if test.id != newest.id:
                found.append((test, better_mean(test)))
            if len(found) == _MOST_EARLIER:
                break
    return found


async def onboarding(auth: AuthController, visit: Visit) -> web.Response:
    """Ask for the year of birth."""
    screen = await visit.site.profile(auth)
    return visit.goes_to("profile") if screen.is_onboarded else _asked(auth, visit, "onboarding", user=screen.user)


async def onboard(auth: AuthController, visit: Visit) -> web.Response:
    """Onboard by a year of birth. Who has onboarded meanwhile, in another window, is asked which answer stands.

    A form that was shown to another account makes no user of this one: sessions end, and others sign in.
    """
    screen = await visit.site.profile(auth)
    user = screen.user
    if not visit.is_marked(auth.account):
        return visit.told(OTHER_PROFILE) if screen.is_onboarded else _asked(auth, visit, "onboarding", _OTHER_ACCOUNT)
    try:
        said = _said(visit)
    except BadYearError as bad:
        return _asked(auth, visit, "onboarding", bad.reason, user=user)
    if user is None:
        await screen.onboard(year_of_birth=said[0], sex=said[1])
    elif screen.is_onboarded and (user.year_of_birth not in (None, said[0]) or user.sex not in (None, said[1])):
        return _asked(auth, visit, "edit", _CONFLICT, user=user)
    else:
        await screen.edit(year_of_birth=said[0], sex=said[1])
    return visit.goes_to("profile")


async def editing(auth: AuthController, visit: Visit) -> web.Response:
    """Show what the person said, to be changed. Who has said nothing yet is asked as at the onboarding."""
    screen = await visit.site.profile(auth)
    if screen.user is None:
        return visit.goes_to("profile")
    return _asked(auth, visit, "edit", user=screen.user) if screen.is_onboarded else visit.goes_to("onboarding")


async def edit(auth: AuthController, visit: Visit) -> web.Response:
    """Change what the person has changed; what another window has changed meanwhile stays, or is asked about."""
    screen = await visit.site.profile(auth)
    user = screen.user
    if user is None or not visit.is_marked(user.id):
        return visit.told(OTHER_PROFILE)
    try:
        year, its_sex = _said(visit) if _field(visit, "year_of_birth") else (None, sex(_field(visit, "sex")))
        year = _merged(_field(visit, "was_year_of_birth"), year, user.year_of_birth)
        its_sex = _merged(_field(visit, "was_sex"), its_sex, user.sex)
    except BadYearError as bad:
        return _asked(auth, visit, "edit", bad.reason, user=user)
    except _ChangedMeanwhileError:
        return _asked(auth, visit, "edit", _CONFLICT, user=user)
    await screen.edit(year_of_birth=year, sex=its_sex)
    return visit.goes_to("profile")


class _ChangedMeanwhileError(Exception):
    """The same field was changed here and in another window, to different values."""


def _merged(was: str, said: _T, now: _T) -> _T:
    """Return what stands of a field: what is said here if it was changed here, else what is there by now."""
    if str(said or "") == was:
        return now
    if str(now or "") not in (was, str(said or "")):
        raise _ChangedMeanwhileError
    return said


async def export(auth: AuthController, visit: Visit) -> web.Response:
    """Send everything that the server holds about the user, as a file."""
    screen = await visit.site.profile(auth)
    if screen.user is None:
        return visit.goes_to("profile")
    headers = {hdrs.CONTENT_DISPOSITION: f'attachment; filename="{EXPORT_NAME}"'}
    return web.Response(body=await screen.export(), content_type="application/json", headers=headers)


async def resetting(auth: AuthController, visit: Visit) -> web.Response:
    """Ask whether the person is sure."""
    screen = await visit.site.profile(auth)
    return visit.goes_to("profile") if screen.user is None else visit.page("reset", user=screen.user, flaw=None)


async def reset(auth: AuthController, visit: Visit) -> web.Response:
    """Erase the profile for ever: the one that was shown, and by who is sure."""
    screen = await visit.site.profile(auth)
    if screen.user is None:
        return visit.goes_to("erased")
    if not visit.is_marked(screen.user.id):
        return visit.told(OTHER_PROFILE)
    if _field(visit, "sure") != "yes":
        return visit.page("reset", status=422, user=screen.user, flaw="reset.not-sure")
    await screen.reset()
    return visit.goes_to("erased")


async def erased(auth: AuthController, visit: Visit) -> web.Response:
    """Say that the profile was erased, as long as there is none."""
    screen = await visit.site.profile(auth)
    return visit.page("erased") if screen.user is None else visit.goes_to("profile")


def _said(visit: Visit) -> tuple[int | None, Sex | None]:
    return year_of_birth(_field(visit, "year_of_birth")), sex(_field(visit, "sex"))


def _field(visit: Visit, name: str) -> str:
    return visit.form.get(name, "").strip()


def _asked(
    auth: AuthController, visit: Visit, template: str, flaw: str | None = None, *, user: MimiUser | None = None
) -> web.Response:
    """Show a form: with what was sent, where something was, and with the flaw in it."""
    mark = visit.mark(auth.account if template == "onboarding" or user is None else user.id)
    now = {"year_of_birth": "", "sex": ""}
    if user is not None:
        now = {"year_of_birth": str(user.year_of_birth or ""), "sex": user.sex or ""}
    sent = {name: _field(visit, name) for name in now} if visit.form else now
    was = {name: visit.form.get(f"was_{name}", now[name]) for name in now} if flaw != _CONFLICT else now
    status = 200 if flaw is None else 409 if flaw in (_CONFLICT, _OTHER_ACCOUNT) else 422
    return visit.page(template, status=status, flaw=flaw, said=sent, was=was, user=user, mark=mark)


def _heard(user: MimiUser) -> dict[str, Any]:
    """Return what is shown of a user's hearing: the newest test, and what is typical, as far as an age is known."""
    test = user.latest_hearing_test
    estimate: Estimate | None = None if user.age is None else typical_for(user.age, user.sex)
    facts = {"test": test, "estimate": estimate, "chart": chart(test, estimate), "is_limited": False}
    if test is None:
        return facts
    ears = {"right": levels(test, test.right), "left": levels(test, test.left)}
    return facts | {"ears": ears, "means": (better_mean(test), worse_mean(test)), "is_limited": is_limited(test)}
