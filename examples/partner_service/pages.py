"""The pages of a product: templates with autoescape, and the security headers of each response."""

from http import HTTPStatus
from pathlib import Path

import jinja2
from aiohttp import web

_FOLDER = Path(__file__).with_name("templates")
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, undefined=jinja2.StrictUndefined
)

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}
"""The headers of each response: no scripts, no frames, no cache."""

_TITLES = {"player": "Acme Player", "tv": "Acme TV"}

_REASONS = {
    400: "The request cannot be read.",
    403: "The request came from a page of another site and was refused. Open this site and try again.",
    404: "This page does not exist.",
    405: "This page does not support the request method.",
    413: "The request is too long.",
    415: "The request is not a form.",
    500: "An internal error happened and was logged. Please try again later.",
}


def page(template: str, *, product: str, status: int = 200, **values: object) -> web.Response:
    """Return a page."""
    title = _TITLES.get(product, f"Acme {product}")
    text = _TEMPLATES.get_template(f"{template}.html").render(product=title, **values)
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")


def error_page(product: str, status: int) -> web.Response:
    """Return the page of an HTTP error."""
    title = HTTPStatus(status).phrase
    return page("message", product=product, status=status, title=title, text=_REASONS.get(status, f"{title}."))


async def send_file(request: web.Request) -> web.StreamResponse:
    """Return a stylesheet or the icon: the routes allow no other file."""
    return web.FileResponse(_FOLDER / request.path.removeprefix("/"))


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that a response lacks; the pages of Mimi set their own."""
    del request
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
