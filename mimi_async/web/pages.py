"""The pages of the profile: introduction, onboarding, the profile itself, results, editing, export and reset."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, TypeVar, cast

from aiohttp import hdrs, web

from ..auth.controller import AuthController
from ..errors import UserConflictError
from ..hearing.estimate import typical_for
from ..hearing.results import HearingTestResult
from ..identity import MimiUser, Sex
from .audiogram import Level, compute_means, draw_chart, read_levels
from .error_pages import OTHER_PROFILE
from .forms import InvalidFieldError, parse_sex, parse_year_of_birth
from .page_request import PageRequest

EXPORT_NAME: Final = "hearing-profile.json"

_CONFLICT: Final = "edit.conflict"
_OTHER_ACCOUNT: Final = "onboarding.other-account"
_MAX_EARLIER: Final = 10

_T = TypeVar("_T")


async def show_profile(auth: AuthController, request: PageRequest) -> web.Response:
    """Show the profile, or the introduction before onboarding."""
    screen = await request.site.profile(auth)
    if screen.user is None or not screen.is_onboarded:
        return request.render("introduction", user=screen.user)
    return request.render("profile", user=screen.user, **_describe_hearing(screen.user))


async def show_launcher(auth: AuthController, request: PageRequest) -> web.Response:
    """Show the card that leads to the profile."""
    return request.render("launcher", screen=await request.site.launcher(auth))


async def show_results(auth: AuthController, request: PageRequest) -> web.Response:
    """Show the newest hearing test, and the list of those before it."""
    screen = await request.site.profile(auth)
    if screen.user is None or screen.user.latest_hearing_test is None:
        return request.redirect("profile")
    earlier = await _list_earlier(auth, screen.user.latest_hearing_test)
    return request.render("results", user=screen.user, earlier=earlier, **_describe_hearing(screen.user))


async def _list_earlier(auth: AuthController, newest: HearingTestResult) -> list[tuple[HearingTestResult, Level]]:
    """Return the tests before the newest one, newest first, each with the mean of its better ear."""
    earlier: list[tuple[HearingTestResult, Level]] = []
    async with _open_tests(auth) as tests:
        async for test in tests:
            if test.id != newest.id:
                earlier.append((test, compute_means(test)[0]))
            if len(earlier) == _MAX_EARLIER:
                break
    return earlier


async def confirm_test_deletion(auth: AuthController, request: PageRequest) -> web.Response:
    """Ask for a confirmation to delete a hearing test."""
    screen, test = await request.site.profile(auth), await _find_test(auth, request)
    if screen.user is None or test is None:
        return request.redirect("results")
    return request.render("delete-test", user=screen.user, test=test, mean=compute_means(test)[0])


async def delete_test(auth: AuthController, request: PageRequest) -> web.Response:
    """Delete a hearing test of the profile that the form was shown for. A missing test is not an error."""
    screen = await request.site.profile(auth)
    if screen.user is None or not request.is_bound_to(screen.user.id):
        return request.render_error(OTHER_PROFILE)
    test = await _find_test(auth, request)
    if test is not None and test.id is not None:
        await screen.delete_hearing_test(test.id)
    return request.redirect("results")


async def _find_test(auth: AuthController, request: PageRequest) -> HearingTestResult | None:
    """Return the hearing test that the address names, if the user has it."""
    async with _open_tests(auth) as tests:
        async for test in tests:
            if test.id == request.http.match_info["test"]:
                return test
    return None


def _open_tests(auth: AuthController) -> aclosing[AsyncGenerator[HearingTestResult, None]]:
    """Return the tests of the user, newest first, to be closed if a loop over them ends early."""
    return aclosing(cast("AsyncGenerator[HearingTestResult, None]", auth.hearing_tests()))


async def show_onboarding(auth: AuthController, request: PageRequest) -> web.Response:
    """Ask for the year of birth."""
    screen = await request.site.profile(auth)
    if screen.is_onboarded:
        return request.redirect("profile")
    return _render_form(auth, request, "onboarding", user=screen.user)


async def onboard(auth: AuthController, request: PageRequest) -> web.Response:
    """Onboard by a year of birth. If another window has onboarded to other values, ask which values to keep.

    A form that was shown to another account creates no user of this account: sessions end, other people sign in.
    """
    screen = await request.site.profile(auth)
    user = screen.user
    if not request.is_bound_to(auth.account):
        if screen.is_onboarded:
            return request.render_error(OTHER_PROFILE)
        return _render_form(auth, request, "onboarding", _OTHER_ACCOUNT)
    try:
        year, sex = _read_person(request)
    except InvalidFieldError as invalid:
        return _render_form(auth, request, "onboarding", invalid.reason, user=user)
    try:
        if user is None:
            await screen.onboard(year_of_birth=year, sex=sex)
        elif screen.is_onboarded and (user.year_of_birth not in (None, year) or user.sex not in (None, sex)):
            return _render_form(auth, request, "edit", _CONFLICT, user=user)
        else:
            await screen.edit(year_of_birth=year, sex=sex)
    except UserConflictError as conflict:
        return _render_form(auth, request, "edit", _CONFLICT, user=conflict.current_user)
    return request.redirect("profile")


async def show_edit(auth: AuthController, request: PageRequest) -> web.Response:
    """Show the year of birth and the sex, to be changed; before onboarding redirect to it."""
    screen = await request.site.profile(auth)
    if screen.user is None:
        return request.redirect("profile")
    if not screen.is_onboarded:
        return request.redirect("onboarding")
    return _render_form(auth, request, "edit", user=screen.user)


async def edit(auth: AuthController, request: PageRequest) -> web.Response:
    """Change the fields that the person changed. Another window's change of the same field is a conflict, shown."""
    screen = await request.site.profile(auth)
    user = screen.user
    if user is None or not request.is_bound_to(user.id):
        return request.render_error(OTHER_PROFILE)
    try:
        if _read_field(request, "year_of_birth"):
            year, sex = _read_person(request)
        else:
            year, sex = None, parse_sex(_read_field(request, "sex"))
        year = _merge(_read_field(request, "was_year_of_birth"), year, user.year_of_birth)
        sex = _merge(_read_field(request, "was_sex"), sex, user.sex)
        await screen.edit(year_of_birth=year, sex=sex)
    except InvalidFieldError as invalid:
        return _render_form(auth, request, "edit", invalid.reason, user=user)
    except UserConflictError as conflict:
        return _render_form(auth, request, "edit", _CONFLICT, user=conflict.current_user)
    return request.redirect("profile")


def _merge(was: str, sent: _T, current: _T) -> _T:
    """Return the new value of a field: the sent one if the person changed it, else the current one.

    Raises:
        InvalidFieldError: It was changed here and in another window, to different values.
    """
    if str(sent or "") == was:
        return current
    if str(current or "") not in (was, str(sent or "")):
        raise InvalidFieldError(_CONFLICT)
    return sent


async def export(auth: AuthController, request: PageRequest) -> web.Response:
    """Send everything that the server holds about the user, as a file."""
    screen = await request.site.profile(auth)
    if screen.user is None:
        return request.redirect("profile")
    headers = {hdrs.CONTENT_DISPOSITION: f'attachment; filename="{EXPORT_NAME}"'}
    return web.Response(body=await screen.export(), content_type="application/json", headers=headers)


async def confirm_reset(auth: AuthController, request: PageRequest) -> web.Response:
    """Ask for a confirmation to erase the profile."""
    screen = await request.site.profile(auth)
    if screen.user is None:
        return request.redirect("profile")
    return request.render("reset", user=screen.user, flaw=None)


async def reset(auth: AuthController, request: PageRequest) -> web.Response:
    """Erase the profile permanently, if the form was shown for it and the person confirmed."""
    screen = await request.site.profile(auth)
    if screen.user is None:
        return request.redirect("erased")
    if not request.is_bound_to(screen.user.id):
        return request.render_error(OTHER_PROFILE)
    if _read_field(request, "sure") != "yes":
        return request.render("reset", status=422, user=screen.user, flaw="reset.not-sure")
    await screen.reset()
    return request.redirect("erased")


async def show_erased(auth: AuthController, request: PageRequest) -> web.Response:
    """Say that the profile was erased, as long as there is none."""
    screen = await request.site.profile(auth)
    return request.render("erased") if screen.user is None else request.redirect("profile")


def _read_person(request: PageRequest) -> tuple[int | None, Sex | None]:
    return parse_year_of_birth(_read_field(request, "year_of_birth")), parse_sex(_read_field(request, "sex"))


def _read_field(request: PageRequest, name: str) -> str:
    return request.form.get(name, "").strip()


def _render_form(
    auth: AuthController, request: PageRequest, template: str, flaw: str | None = None, *, user: MimiUser | None = None
) -> web.Response:
    """Show a form with the values that were sent, or else with those of the user, and with the text of a flaw."""
    binding = request.bind(auth.account if template == "onboarding" or user is None else user.id)
    now = {"year_of_birth": "", "sex": ""}
    if user is not None:
        now = {"year_of_birth": str(user.year_of_birth or ""), "sex": user.sex or ""}
    sent = {name: _read_field(request, name) for name in now} if request.form else now
    was = {name: request.form.get(f"was_{name}", now[name]) for name in now} if flaw != _CONFLICT else now
    status = 200 if flaw is None else 409 if flaw in (_CONFLICT, _OTHER_ACCOUNT) else 422
    return request.render(template, status=status, flaw=flaw, said=sent, was=was, user=user, binding=binding)


def _describe_hearing(user: MimiUser) -> dict[str, Any]:
    """Return what the templates show of a user's hearing: the newest test, and the estimate if the age is known."""
    test = user.latest_hearing_test
    estimate = None if user.age is None else typical_for(user.age, user.sex)
    context = {"test": test, "estimate": estimate, "chart": draw_chart(test, estimate), "is_limited": False}
    if test is None:
        return context
    ears = {"right": read_levels(test, test.right), "left": read_levels(test, test.left)}
    is_limited = any(level.is_lower_bound for ear in ears.values() for level in ear.values())
    return context | {"ears": ears, "means": compute_means(test), "is_limited": is_limited}
