"""The page of the hearing test, and the answers of its script: one request for each tone."""

from aiohttp import web

from ..auth.controller import AuthController
from ..errors import InvalidInputError
from ..hearing.staircase import Outcome
from ..views.test_flow import TestFlow, TestScreen
from .error_pages import BAD_TEST, OTHER_TEST, UNHEARD, UNRELIABLE
from .forms import read_answer
from .page_request import PageRequest


async def show_test(auth: AuthController, request: PageRequest) -> web.Response:
    """Show the page of the test."""
    del auth
    return request.render("test")


async def begin(auth: AuthController, request: PageRequest) -> web.Response:
    """Begin a test, or resume one: return the next tone."""
    state, _ = await read_answer(request.http)
    await auth.find_user()  # here, not with each answer: without a user the whole test would be in vain
    if state is not None:
        return await _resume(auth, request, state)
    profile = await request.site.profile(auth)
    return await _render(await profile.take_hearing_test(), request)


async def answer(auth: AuthController, request: PageRequest) -> web.Response:
    """Take an answer: return the next tone, or the address of the results. A repeated answer has the same effect."""
    state, heard = await read_answer(request.http)
    if state is None or heard is None:
        return request.render_error(BAD_TEST)
    return await _resume(auth, request, state, heard)


async def _resume(auth: AuthController, request: PageRequest, state: str, heard: bool | None = None) -> web.Response:
    try:
        screen = await TestFlow(state=state)(auth)
    except InvalidInputError:
        return request.render_error(OTHER_TEST)
    return await _render(screen if heard is None else screen.answer(heard=heard), request)


async def _render(screen: TestScreen, request: PageRequest) -> web.Response:
    tone = screen.presentation
    if tone is not None:
        play = {"ear": tone.ear, "frequency": tone.frequency, "level": tone.level}
        return web.json_response({"state": screen.state, "tone": play, "progress": round(screen.progress, 3)})
    if screen.outcome is Outcome.MEASURED:
        await screen.submit()
        return web.json_response({"done": request.address("results")})
    return request.render_error(UNHEARD if screen.outcome is Outcome.UNHEARD else UNRELIABLE)
