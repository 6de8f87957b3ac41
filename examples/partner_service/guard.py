"""What a product's own pages refuse: forms of other sites, and addresses of other sites to go on to."""

import logging
import re
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.typedefs import Handler

from .pages import error_page

MOST_BYTES = 64 * 1024
"""How long a form may be."""

NAME = web.AppKey("name", str)
"""The name of the product."""

_READING = {"GET", "HEAD", "OPTIONS"}
_LOCAL_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")  # printable ASCII without blanks and backslashes, which browsers change

_log = logging.getLogger(__name__)


@web.middleware
async def with_error_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Make a page of every error."""
    if _is_of_mimi(request):
        return await handler(request)
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = error_page(request.app[NAME], error.status)
        response.headers.update({name: error.headers[name] for name in ("Allow",) if name in error.headers})
        return response
    except Exception:  # noqa: BLE001 - whatever it is, the person gets a page, and the log what it was
        _log.exception("%s %s failed", request.method, request.match_info.route.resource)
        return error_page(request.app[NAME], 500)


@web.middleware
async def of_this_site_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what changes something, unless a page of this product asks for it."""
    if request.method in _READING or _is_of_mimi(request) or is_of_this_site(request):
        return await handler(request)
    raise web.HTTPForbidden


def _is_of_mimi(request: web.Request) -> bool:
    """Tell whether it is for the pages of Mimi, which have a guard and error pages of their own."""
    return len(request.match_info.apps) > 1


def is_of_this_site(request: web.Request) -> bool:
    """Tell whether a page of this very origin has sent a request, or the person by hand.

    The other product of the partner counts as another site. Browsers that do not send Sec-Fetch-Site send an Origin.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    scheme, _, host = request.headers.get("Origin", "").partition("://")
    return scheme in {"http", "https"} and host.lower() == request.headers.get("Host", "").lower()


def local_path(text: str) -> str:
    """Return a path of this site to go on to; "/" in place of an address that leads, or may lead, elsewhere."""
    return text if _LOCAL_PATH.fullmatch(text) else "/"


async def form_of(request: web.Request) -> dict[str, str]:
    """Read a form.

    Raises:
        HTTPException: It is none (400, 415), or too long (413).
    """
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType
    try:
        text = (await request.read()).decode("ascii")
        return dict(parse_qsl(text, keep_blank_values=True, errors="strict"))
    except (ValueError, web.RequestPayloadError):
        raise web.HTTPBadRequest from None
