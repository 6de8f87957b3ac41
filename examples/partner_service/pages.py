"""The pages of a product's own: templates with everything escaped, and the fields that harden each reply."""

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
FIELDS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}
"""What every reply carries: no script runs, no frame shows it, nothing keeps it."""

_TITLES = {"player": "Acme Player", "tv": "Acme TV"}

_REASONS = {
    400: "What your browser has sent can't be read.",
    403: "This was asked for by a page of another site, and was refused. Go to the page and do it there.",
    404: "There is no such page.",
    405: "This page can't be used in that way.",
    413: "What your browser has sent is too long.",
    415: "What your browser has sent is no form.",
    500: "Something is wrong here, and was noted. Please try again later.",
}


def page(template: str, *, product: str, status: int = 200, **values: object) -> web.Response:
    """Return a page."""
    title = _TITLES.get(product, f"Acme {product}")
    text = _TEMPLATES.get_template(f"{template}.html").render(product=title, **values)
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")


def error_page(product: str, status: int) -> web.Response:
    """Return the page that says what went wrong."""
    title = HTTPStatus(status).phrase
    return page("message", product=product, status=status, title=title, text=_REASONS.get(status, f"{title}."))


async def static(request: web.Request) -> web.StreamResponse:
    """Answer with a stylesheet or the icon: the routes name no other file."""
    return web.FileResponse(_FOLDER / request.path.removeprefix("/"))


async def harden(request: web.Request, response: web.StreamResponse) -> None:
    """Add the fields that a reply lacks, as it is sent; the pages of Mimi bring their own."""
    del request
    for name, value in FIELDS.items():
        response.headers.setdefault(name, value)
