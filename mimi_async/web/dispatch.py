"""Dispatch a request to its page: identify the account, wait at its gate, present the page or an error page.

No other module of the pages calls the core.
"""

import asyncio
import datetime as dt
import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar
from zoneinfo import ZoneInfoNotFoundError

import attrs
from aiohttp import hdrs, web

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
    describe_exception,
)
from ..identity import validate_account
from .error_pages import (
    BAD_REQUEST,
    BAD_TEST,
    BROKEN,
    CLOSED,
    CROSS_SITE,
    NO_FORM,
    NO_METHOD,
    NO_PAGE,
    SIGNED_OUT,
    TOO_LARGE,
    ErrorPage,
    error_page_for,
)
from .forms import UnreadableFormError, UnsupportedFormError, read_form
from .page_request import PageRequest, Site
from .security import is_cross_site

_log = logging.getLogger(__name__)

Page = Callable[[AuthController, PageRequest], Awaitable[web.StreamResponse]]
"""What a person sees: a view that takes the request as well."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_T = TypeVar("_T")
_Action = Callable[[PageRequest, str], Awaitable[web.StreamResponse]]

_REQUEST: Final = web.RequestKey("mimi_async_page_request", PageRequest)
_HTTP_ERRORS: Final = {404: NO_PAGE, 405: NO_METHOD, 413: TOO_LARGE}
_HOST_ERRORS: Final = (ConfigurationError, CredentialsRejectedError, AnonymityViolationError, UnserviceableError)
_BUSY: Final = {408, 429, 502, 503, 504}


@attrs.frozen(eq=False)
class PageDispatcher:
    """Answers each request by a page, or by an error page."""

    core: MimiCore
    site: Site

    @web.middleware
    async def dispatch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, of an unknown path as well; a failure by an error page, or, for a script, by JSON."""
        asked = request[_REQUEST] = PageRequest.from_http(request, self.site)
        if is_cross_site(request):
            return asked.render_error(CROSS_SITE)
        try:
            return await handler(request)
        except web.HTTPException as failure:
            if failure.status not in _HTTP_ERRORS:
                raise  # of the partner's account_of: a redirect to its sign-in, for example
            response = asked.render_error(_HTTP_ERRORS[failure.status])
            if hdrs.ALLOW in failure.headers:
                response.headers[hdrs.ALLOW] = failure.headers[hdrs.ALLOW]
            return response
        except UnreadableFormError as error:
            page = NO_FORM if isinstance(error, UnsupportedFormError) else BAD_REQUEST
            response = asked.render_error(BAD_TEST if asked.is_from_script else page)
            response.force_close()  # a body that can't be decompressed breaks aiohttp's connection for the next one
            return response
        except MimiError as error:
            return asked.render_error(_log_error(error))
        except Exception as error:  # noqa: BLE001 - any error gets a protected reply, which must not quote it
            _log.error("a page has failed: %s", describe_exception(error))
            return asked.render_error(BROKEN)

    def view(self, page: Page) -> Handler:
        """Return the handler of a page behind the gate."""
        return self._handle(partial(self._present, page))

    def start_over(self) -> Handler:
        """Return the handler of a person's decision to go on without a profile that is lost."""
        return self._handle(self._start_over)

    def _handle(self, action: _Action) -> Handler:
        async def handle(http: web.Request) -> web.StreamResponse:
            request = http[_REQUEST]
            if http.method == hdrs.METH_POST and not request.is_from_script:
                request.form.update(await read_form(http))  # first: each failure from here on keeps what was written
            account = await self._identify(request)
            if isinstance(account, ErrorPage):
                return request.render_error(account)
            if not request.is_from_script:
                request = attrs.evolve(request, zone=await self._find_zone(http))
            return await action(request, account)

        return handle

    async def _present(self, page: Page, request: PageRequest, account: str) -> web.StreamResponse:
        async def view(auth: AuthController) -> web.StreamResponse:
            if not request.is_from_script:
                await auth.find_user()  # another product or window may have created, changed or erased the user
            waiting.reschedule(None)
            return await page(auth, request)

        try:
            async with asyncio.timeout(self.site.timeout) as waiting:
                return await self.core.present(view, account=account)
        except TimeoutError:
            if not waiting.expired():
                raise
        return request.render_error(CLOSED)

    async def _start_over(self, request: PageRequest, account: str) -> web.StreamResponse:
        if self.site.start_over is None:
            return await self._present(_redirect_to_profile, request, account)
        found = await self._find_profile(request, account)
        if found is not None:
            return found
        if request.form.get("sure") != "yes":
            return request.redirect("profile")
        try:
            await self.site.start_over(account)
        except NotStartedError:
            raise
        except ConfigurationError:  # a refusal: right where the server knows the profile again, else the host's mistake
            found = await self._find_profile(request, account)
            if found is None:
                raise
            return found
        return request.redirect("profile")

    async def _find_profile(self, request: PageRequest, account: str) -> web.StreamResponse | None:
        """Return a redirect to the profile; None where it is lost: unknown to the server, or its record is damaged."""
        try:
            return await self._present(_redirect_to_profile, request, account)
        except MimiError as error:
            if error_page_for(error).next_step != "start-over":
                raise
        return None

    async def _identify(self, request: PageRequest) -> str | ErrorPage:
        """Return the account that is signed in, or the error page to show instead."""
        try:
            account = await self._call_host("account_of", self.site.account_of, request.http)
        except TimeoutError:
            return CLOSED
        except web.HTTPException as failure:
            if not request.is_from_script:
                raise
            # A script follows no redirect to a sign-in, and reads no page.
            if 300 <= failure.status < 400 or failure.status == web.HTTPUnauthorized.status_code:
                return SIGNED_OUT
            return CLOSED if failure.status in _BUSY else BROKEN
        if account is None:
            return SIGNED_OUT
        with suppress(InvalidInputError):
            return validate_account(account)
        msg = (
            f"account_of returned a {type(account).__name__} that names no account: return a text of 1 to 200"
            " characters without control characters, in the form unicodedata.normalize('NFC', account), or None where"
            " no user is signed in"
        )
        raise ConfigurationError(msg)

    async def _find_zone(self, http: web.Request) -> dt.tzinfo | None:
        """Return the time zone that the host names. A failure is logged, and the page is shown without a zone."""
        if self.site.timezone is None:
            return None
        try:
            return _validate_zone(await self._call_host("timezone", self.site.timezone, http))
        except Exception as error:  # noqa: BLE001 - code of the host may raise anything; its text may be personal
            _log.error("timezone failed, times are shown in UTC: %s", _describe_remedy(error))
            return None

    async def _call_host(self, name: str, function: Callable[[web.Request], Awaitable[_T]], http: web.Request) -> _T:
        """Call a function of the host within the time limit."""
        reply = function(http)
        if not inspect.isawaitable(reply):
            msg = f"{name} is not a coroutine function: write `async def {name}(request): …`"
            raise ConfigurationError(msg)
        async with asyncio.timeout(self.site.timeout):
            return await reply


def _validate_zone(zone: object) -> dt.tzinfo | None:
    if not isinstance(zone, dt.tzinfo | None):
        msg = f"timezone returned a {type(zone).__name__}: return a tzinfo, such as zoneinfo.ZoneInfo, or None"
        raise ConfigurationError(msg)
    dt.datetime.now(zone).tzname()  # code of the host too: a zone that fails must fail here, not in a template
    return zone


def _describe_remedy(error: Exception) -> str:
    if isinstance(error, ConfigurationError):
        return str(error)
    if isinstance(error, ZoneInfoNotFoundError):
        return f"{describe_exception(error)}: check the name of the zone, and install the package tzdata"
    return describe_exception(error)


async def _redirect_to_profile(auth: AuthController, request: PageRequest) -> web.StreamResponse:
    del auth
    return request.redirect("profile")


def _log_error(error: MimiError) -> ErrorPage:
    """Log an error and return its page. What the host must repair is logged with its remedy, which quotes no secret."""
    page = error_page_for(error)
    cause = error.__cause__ if isinstance(error, ViewsClosedError) and error.__cause__ else error
    if isinstance(cause, _HOST_ERRORS) and page is not CLOSED:
        _log.error("a page was not shown: %s: %s", describe_exception(cause), cause)
    else:
        level = logging.ERROR if page is BROKEN else logging.INFO
        _log.log(level, "a page was not shown: %s", describe_exception(cause))
    return page
