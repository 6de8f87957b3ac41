"""One product as a web service: the partner's own pages, and those of Mimi at /mimi/."""

import unicodedata
from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web
from yarl import URL

from mimi_async import InvalidInputError, MimiCore, ProfileConfiguration
from mimi_async.identity import validate_account
from mimi_async.web import mimi_pages

from .guard import MOST_BYTES, NAME, local_path, read_form, refuse_other_sites, with_error_pages
from .pages import add_headers, page, send_file
from .passwords import LONGEST, SHORTEST, Passwords
from .product import Product
from .sessions import LIFETIME, Sessions
from .start_over import start_over

CORE = web.AppKey("core", MimiCore)
"""The core of the service, for other parts of the product: `await app[CORE].auth_for(account)`."""


class Site:
    """The product's own pages.

    Args:
        product: The product.
        sessions: The sessions of signed-in accounts.
    """

    def __init__(self, product: Product, sessions: Sessions) -> None:
        self._product = product
        self._sessions = sessions
        self._passwords = Passwords(product.accounts)
        self._cookie = f"{product.name}-session"  # a cookie is sent to every port: each product has its own name

    async def account_of(self, request: web.Request) -> str | None:
        """Return the account that is signed in; also for `mimi_pages(account_of=…)`."""
        return self._sessions.account_of(request.cookies.get(self._cookie, ""))

    async def home(self, request: web.Request) -> web.Response:
        """GET /."""
        account = await self.account_of(request)
        known = None if account is None else await self._product.accounts.known_id(account)
        return page("home", product=self._product.name, account=account, has_profile=known is not None)

    async def show_sign_in(self, request: web.Request) -> web.Response:
        """GET /sign-in."""
        return self._form(request)

    async def sign_in(self, request: web.Request) -> web.Response:
        """POST /sign-in."""
        form = await read_form(request)
        typed, password = form.get("account", ""), form.get("password", "")
        try:
            account = validate_account(unicodedata.normalize("NFC", typed.strip()))  # the same name in any Unicode form
        except InvalidInputError:
            error_text = "An account name has 1 to 200 characters, and no control characters among them."
            return self._form(request, status=422, typed=typed, error_text=error_text)
        if not SHORTEST <= len(password) <= LONGEST:
            error_text = f"A password has {SHORTEST} to {LONGEST} characters."
            return self._form(request, status=422, typed=typed, error_text=error_text)
        if not await self._passwords.verify(account, password):
            error_text = "This password does not fit this account name."
            return self._form(request, status=403, typed=typed, error_text=error_text)
        return self._signed_in(request, account)

    def _form(self, request: web.Request, *, status: int = 200, typed: str = "", error_text: str = "") -> web.Response:
        return page(
            "sign_in",
            product=self._product.name,
            status=status,
            next=local_path(request.query.get("next", "/")),
            typed=typed,
            error_text=error_text,
            shortest=SHORTEST,
        )

    def _signed_in(self, request: web.Request, account: str) -> web.Response:
        """Start a session with a new token: an earlier one may be known to an attacker (session fixation)."""
        self._sessions.end(request.cookies.get(self._cookie, ""))
        response = _redirect(local_path(request.query.get("next", "/")))
        token = self._sessions.begin(account)
        response.set_cookie(
            self._cookie, token, max_age=LIFETIME, httponly=True, samesite="Lax", secure=request.secure or None
        )
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        """POST /sign-out: end the partner's session; the account keeps its Mimi user."""
        self._sessions.end(request.cookies.get(self._cookie, ""))
        response = _redirect("/")
        response.del_cookie(self._cookie, httponly=True, samesite="Lax", secure=request.secure or None)
        return response


def _redirect(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": str(URL(path, encoded=True))})


async def _redirect_to_mimi(request: web.Request) -> web.Response:
    """GET /mimi: the sub-application begins at the slash."""
    del request
    return _redirect("/mimi/")


def make_app(product: Product, sessions: Sessions | None = None) -> web.Application:
    """Return the web service of a product. It owns a core and enters it while it runs."""
    core = product.core(account=None)
    site = Site(product, sessions or Sessions())
    app = web.Application(middlewares=[with_error_pages, refuse_other_sites], client_max_size=MOST_BYTES)
    app[NAME], app[CORE] = product.name, core
    app.on_response_prepare.append(add_headers)
    app.cleanup_ctx.append(_run_core)
    app.add_routes(
        [
            web.get("/", site.home),
            web.get("/sign-in", site.show_sign_in),
            web.post("/sign-in", site.sign_in),
            web.post("/sign-out", site.sign_out),
            web.get("/mimi", _redirect_to_mimi),
            *(web.get(f"/{name}", send_file) for name in ("site.css", "theme.css", "icon.svg")),
        ]
    )
    pages = mimi_pages(
        core,
        account_of=site.account_of,
        configuration=ProfileConfiguration(allows_anonymous_user_only=True),
        sign_in="/sign-in",
        start_over=partial(start_over, product, core),
        theme="/theme.css",
        home="/",
    )
    app.add_subapp("/mimi/", pages)
    return app


async def _run_core(app: web.Application) -> AsyncIterator[None]:
    async with app[CORE]:
        yield
