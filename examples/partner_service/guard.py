"""Protect the pages of a product: refuse forms of other sites and redirects to other sites."""

import logging
import re
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.typedefs import Handler

from .pages import error_page

MOST_BYTES = 64 * 1024
"""Maximum size of a form."""

NAME = web.AppKey("name", str)
"""The name of the product."""

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_LOCAL_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")  # printable ASCII without blanks and backslashes, which browsers change

_log = logging.getLogger(__name__)


@web.middleware
async def with_error_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Return a page for each error."""
    if _is_for_mimi(request):
        return await handler(request)
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = error_page(request.app[NAME], error.status)
        response.headers.update({name: error.headers[name] for name in ("Allow",) if name in error.headers})
        return response
    except Exception:  # noqa: BLE001 - any defect: the browser gets a page, the log the exception
        _log.exception("%s %s failed", request.method, request.match_info.route.resource)
        return error_page(request.app[NAME], 500)


@web.middleware
async def refuse_other_sites(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a request with an unsafe method unless a page of this product sends it."""
    if request.method in _SAFE_METHODS or _is_for_mimi(request) or is_same_origin(request):
        return await handler(request)
    raise web.HTTPForbidden


def _is_for_mimi(request: web.Request) -> bool:
    """Return whether the request is for the pages of Mimi, which have their own checks and error pages."""
    return len(request.match_info.apps) > 1


def is_same_origin(request: web.Request) -> bool:
    """Return whether a page of the same origin sends the request, or the user directly.

    The other product of the partner is another origin. Browsers that do not send Sec-Fetch-Site send Origin.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    scheme, _, host = request.headers.get("Origin", "").partition("://")
    return scheme in {"http", "https"} and host.lower() == request.headers.get("Host", "").lower()


def local_path(text: str) -> str:
    """Return the redirect target if it is a path of this site, else "/"."""
    return text if _LOCAL_PATH.fullmatch(text) else "/"


async def read_form(request: web.Request) -> dict[str, str]:
    """Read a form.

    Raises:
        HTTPException: The body is not a valid form (400, 415) or is too long (413).
    """
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType
    try:
        text = (await request.read()).decode("ascii")
        return dict(parse_qsl(text, keep_blank_values=True, errors="strict"))
    except (ValueError, web.RequestPayloadError):
        raise web.HTTPBadRequest from None
