"""The one way from a request to a page: signed in, behind the gate, protected. No other module here knows the core."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import attrs
from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from ..auth.controller import AuthController
from ..core import MimiCore
from ..errors import (
    AnonymityViolationError,
    ConfigurationError,
    CredentialsRejectedError,
    InvalidInputError,
    MimiError,
    NotStartedError,
    UnserviceableError,
    ViewsClosedError,
    described,
)
from ..identity import checked_account
from .forms import NoFormError, UnreadableFormError, read_form
from .guard import is_cross_site, protect
from .troubles import (
    BAD_REQUEST,
    BAD_TEST,
    BROKEN,
    CROSS_SITE,
    NO_FORM,
    NO_METHOD,
    NO_PAGE,
    SIGNED_OUT,
    TOO_LARGE,
    WAITING,
    Trouble,
    trouble_of,
)
from .visit import Site, StartOver, Visit

_log = logging.getLogger(__name__)

PATIENCE: Final = 10.0
"""Seconds that a browser waits for account_of, and then until it is known who the user is, before it is told that the
page is closed."""

Page = Callable[[AuthController, Visit], Awaitable[web.StreamResponse]]
"""What a person sees: a view, with the visit that asked for it."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_Answer = Callable[[Visit, str], Awaitable[web.StreamResponse]]

_FAILURES = {404: NO_PAGE, 405: NO_METHOD, 413: TOO_LARGE}
_TO_MEND = (ConfigurationError, CredentialsRejectedError, AnonymityViolationError, UnserviceableError)
_BUSY = {408, 429, 502, 503, 504}


@attrs.frozen(eq=False)
class Door:
    """Lets signed-in people to their pages, once it is known who they are.

    Attributes:
        core: Presents every page.
        site: What the pages share.
    """

    core: MimiCore
    site: Site

    def view(self, page: Page) -> Handler:
        """Return the handler of a page behind the gate."""

        async def answer(visit: Visit, account: str) -> web.StreamResponse:
            return await self._presented(page, visit, account)

        return self._handler(answer)

    def start_over(self) -> Handler:
        """Return the handler of a person's decision to go on without a profile that can't be found."""

        async def answer(visit: Visit, account: str) -> web.StreamResponse:
            try:
                return await self._presented(_to_profile, visit, account)
            except MimiError as error:
                if not _is_lost(error) or self.site.start_over is None:
                    raise
            return await self._started_over(self.site.start_over, visit, account)

        return self._handler(answer)

    async def _started_over(self, start_over: StartOver, visit: Visit, account: str) -> web.StreamResponse:
        """Start over if the person is sure. A refusal is no failure where the profile turns out to be known again."""
        if visit.form.get("sure") != "yes":
            return visit.goes_to("profile")
        try:
            await start_over(account)
        except NotStartedError:
            raise
        except ConfigurationError as error:
            refusal = error
        else:
            return visit.goes_to("profile")
        try:
            return await self._presented(_to_profile, visit, account)
        except MimiError as error:
            if not _is_lost(error):
                raise
        raise refusal

    async def _presented(self, page: Page, visit: Visit, account: str) -> web.StreamResponse:
        async def view(auth: AuthController) -> web.StreamResponse:
            if not visit.speaks_json:
                await auth.find_user()  # another product or another window may have changed, made or erased it
            waiting.reschedule(None)
            return await page(auth, visit)

        try:
            async with asyncio.timeout(PATIENCE) as waiting:
                return await self.core.present(view, account=account)
        except TimeoutError:
            if not waiting.expired():
                raise
        return visit.told(WAITING)

    def _handler(self, answer: _Answer) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            visit = Visit.of(request, self.site)
            try:
                return await self._handled(answer, visit)
            except UnreadableFormError as error:
                trouble = NO_FORM if isinstance(error, NoFormError) else BAD_REQUEST
                response = visit.told(BAD_TEST if visit.speaks_json else trouble)
                response.force_close()  # what can't be decompressed breaks aiohttp's connection, with its next request
                return response
            except MimiError as error:
                return visit.told(_noted(error))

        return handle

    async def _handled(self, answer: _Answer, visit: Visit) -> web.StreamResponse:
        if visit.request.method == hdrs.METH_POST and not visit.speaks_json:
            visit.form.update(await read_form(visit.request))  # first: whatever fails now, nobody has to write it again
        try:
            account = await self._account(visit.request)
        except TimeoutError:
            return visit.told(WAITING)
        except web.HTTPException as failure:
            if not visit.speaks_json:
                raise
            return _told_to_script(failure, visit)
        return visit.told(SIGNED_OUT) if account is None else await answer(visit, account)

    async def _account(self, request: web.Request) -> str | None:
        asked = self.site.account_of(request)
        if not inspect.isawaitable(asked):
            msg = "account_of is no coroutine function: write `async def account_of(request): …`"
            raise ConfigurationError(msg)
        async with asyncio.timeout(PATIENCE):
            account = await asked
        if account is None or _is_account(account):
            return account
        msg = (
            f"account_of returned a {type(account).__name__} that names no account: return a text of 1 to 200"
            " characters without control characters, or None where nobody is signed in"
        )
        raise ConfigurationError(msg)

    async def protect(self, request: web.Request, response: web.StreamResponse) -> None:
        """Protect a reply as it is sent: those of failures too, also of such that no middleware ever sees."""
        del request
        protect(response)

    @property
    def middleware(self) -> Middleware:
        """Answers what fails by a page, or, for a script, by JSON."""

        @web.middleware
        async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._answered(request, handler)

        return answered

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        visit = Visit.of(request, self.site)
        if is_cross_site(request):
            return visit.told(CROSS_SITE)
        try:
            return await handler(request)
        except web.HTTPException as failure:
            if failure.status not in _FAILURES:
                raise  # of the partner's account_of: a redirect to its sign-in, for example
            response = visit.told(_FAILURES[failure.status])
            response.headers.update({name: failure.headers[name] for name in (hdrs.ALLOW,) if name in failure.headers})
            return response
        except Exception as error:  # noqa: BLE001 - whatever it is, the reply must be protected, and must not quote it
            _log.error("a page has failed: %s", described(error))
            return visit.told(BROKEN)


async def _to_profile(auth: AuthController, visit: Visit) -> web.StreamResponse:
    del auth
    return visit.goes_to("profile")


def _is_account(account: object) -> bool:
    try:
        checked_account(account)
    except InvalidInputError:
        return False
    return True


def _is_lost(error: MimiError) -> bool:
    return trouble_of(error).way == "start-over"


def _noted(error: MimiError) -> Trouble:
    """Return what is said of an error. What the host must mend is logged with its remedy: that quotes no secret."""
    trouble = trouble_of(error)
    cause = error.__cause__ if isinstance(error, ViewsClosedError) and error.__cause__ else error
    if isinstance(cause, _TO_MEND) and trouble is not WAITING:
        _log.error("a page was not shown: %s: %s", described(cause), cause)
    else:
        _log.log(logging.ERROR if trouble is BROKEN else logging.INFO, "a page was not shown: %s", described(cause))
    return trouble


def _told_to_script(failure: web.HTTPException, visit: Visit) -> web.StreamResponse:
    """Tell what account_of has raised: a script can follow no redirect, which leads to a sign-in, and reads no page."""
    if 300 <= failure.status < 400 or failure.status == web.HTTPUnauthorized.status_code:
        return visit.told(SIGNED_OUT)
    return visit.told(WAITING if failure.status in _BUSY else BROKEN)
