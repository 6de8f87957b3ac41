"""The page of the hearing test, and the answers of its script: one request for each tone."""

from aiohttp import web

from ..auth.controller import AuthController
from ..errors import InvalidInputError
from ..hearing.staircase import Outcome
from ..views.test_flow import TestFlow, TestScreen
from .forms import read_answer
from .troubles import BAD_TEST, OTHER_TEST, UNHEARD, UNRELIABLE
from .visit import Visit


async def hearing_test(auth: AuthController, visit: Visit) -> web.Response:
    """Show the page of the test."""
    del auth
    return visit.page("test")


async def begin(auth: AuthController, visit: Visit) -> web.Response:
    """Begin a test, or go on with one: return what to play next."""
    state, _ = await read_answer(visit.request)
    await auth.find_user()  # once, not with each answer: an end that nobody can keep would be a whole test in vain
    if state is None:
        profile = await visit.site.profile(auth)
        return _shown(await profile.take_hearing_test())
    screen = await _resumed(auth, state)
    return visit.told(OTHER_TEST) if screen is None else await _next(screen, visit)


async def answer(auth: AuthController, visit: Visit) -> web.Response:
    """Take an answer: return what to play next, or where the results are. The same answer again has the same effect."""
    state, heard = await read_answer(visit.request)
    if state is None or heard is None:
        return visit.told(BAD_TEST)
    screen = await _resumed(auth, state)
    if screen is None:
        return visit.told(OTHER_TEST)
    return await _next(screen.answer(heard=heard), visit)


async def _resumed(auth: AuthController, state: str) -> TestScreen | None:
    try:
        return await TestFlow(state=state)(auth)
    except InvalidInputError:
        return None


async def _next(screen: TestScreen, visit: Visit) -> web.Response:
    match screen.outcome:
        case Outcome.RUNNING:
            return _shown(screen)
        case Outcome.MEASURED:
            await screen.submit()
            return web.json_response({"done": visit.address("results")})
        case Outcome.UNHEARD:
            return visit.told(UNHEARD)
    return visit.told(UNRELIABLE)


def _shown(screen: TestScreen) -> web.Response:
    tone = screen.presentation
    if tone is None:
        msg = "a test that has ended has nothing to play"
        raise InvalidInputError(msg)
    play = {"ear": tone.ear, "frequency": tone.frequency, "level": tone.level}
    return web.json_response({"state": screen.state, "tone": play, "progress": round(screen.progress, 3)})
