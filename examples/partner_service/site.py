"""One product as a web service: the partner's own pages, and those of Mimi at /mimi/.

    python -m examples.partner_service.site player --port 8080

`Product.from_env` says what it reads from the environment. It prints "serving http://…/" once it answers, and ends by
SIGTERM or SIGINT.
"""

import argparse
import asyncio
import errno
import logging
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import partial

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from mimi_async import InvalidInputError, MimiCore, MimiError, ProfileConfiguration
from mimi_async.identity import checked_account
from mimi_async.web import mimi_pages

from .guard import MOST_BYTES, NAME, form_of, local_path, of_this_site_only, with_error_pages
from .pages import harden, page, static
from .passwords import LONGEST, SHORTEST, Passwords
from .ports import PortTakenError, port
from .product import Product
from .sessions import LIFE, Sessions
from .start_over import start_over

CORE = web.AppKey("core", MimiCore)
"""The one core of the service: other parts of the product find it here, `await app[CORE].auth_for(account)`."""

_STOP_SECONDS = 5.0


class Site:
    """The product's own pages.

    Args:
        product: Whose.
        sessions: Who is signed in.
    """

    def __init__(self, product: Product, sessions: Sessions) -> None:
        self._product = product
        self._sessions = sessions
        self._passwords = Passwords(product.accounts)
        self._cookie = f"{product.name}-session"  # a cookie counts for every port: two products, two names

    async def account_of(self, request: web.Request) -> str | None:
        """Return the account that is signed in, for `mimi_pages(account_of=…)`, too."""
        return self._sessions.account_of(request.cookies.get(self._cookie, ""))

    async def home(self, request: web.Request) -> web.Response:
        """GET /."""
        account = await self.account_of(request)
        known = None if account is None else await self._product.accounts.known_id(account)
        return page("home", product=self._product.name, account=account, has_profile=known is not None)

    async def ask(self, request: web.Request) -> web.Response:
        """GET /sign-in."""
        return self._form(request)

    async def sign_in(self, request: web.Request) -> web.Response:
        """POST /sign-in."""
        form = await form_of(request)
        typed, password = form.get("account", ""), form.get("password", "")
        try:
            account = checked_account(typed.strip())
        except InvalidInputError:
            flaw = "An account name has 1 to 200 characters, and no control characters among them."
            return self._form(request, status=422, typed=typed, flaw=flaw)
        if not SHORTEST <= len(password) <= LONGEST:
            flaw = f"A password has {SHORTEST} to {LONGEST} characters."
            return self._form(request, status=422, typed=typed, flaw=flaw)
        if not await self._passwords.fit(account, password):
            flaw = "This password does not fit this account name."
            return self._form(request, status=403, typed=typed, flaw=flaw)
        return self._signed_in(request, account)

    def _form(self, request: web.Request, *, status: int = 200, typed: str = "", flaw: str = "") -> web.Response:
        return page(
            "sign_in",
            product=self._product.name,
            status=status,
            next=local_path(request.query.get("next", "/")),
            typed=typed,
            flaw=flaw,
            shortest=SHORTEST,
        )

    def _signed_in(self, request: web.Request, account: str) -> web.Response:
        """Begin a session under a new token: one that somebody else may know is never taken over."""
        self._sessions.end(request.cookies.get(self._cookie, ""))
        response = _go_on_to(local_path(request.query.get("next", "/")))
        token = self._sessions.begin(account)
        response.set_cookie(
            self._cookie, token, max_age=LIFE, httponly=True, samesite="Lax", secure=request.secure or None
        )
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        """POST /sign-out. It ends the partner's session; the account keeps its Mimi user."""
        self._sessions.end(request.cookies.get(self._cookie, ""))
        response = _go_on_to("/")
        response.del_cookie(self._cookie, httponly=True, samesite="Lax", secure=request.secure or None)
        return response


def _go_on_to(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": str(URL(path, encoded=True))})


async def _to_mimi(request: web.Request) -> web.Response:
    """GET /mimi: the sub-application begins at the slash."""
    del request
    return _go_on_to("/mimi/")


def make_app(product: Product, sessions: Sessions | None = None) -> web.Application:
    """Return the web service of a product; it owns a core, which is entered at its start and left at its end."""
    core = product.core(account=None)
    site = Site(product, sessions or Sessions())
    app = web.Application(middlewares=[with_error_pages, of_this_site_only], client_max_size=MOST_BYTES)
    app[NAME], app[CORE] = product.name, core
    app.on_response_prepare.append(harden)
    app.cleanup_ctx.append(_running_core)
    app.add_routes(
        [
            web.get("/", site.home),
            web.get("/sign-in", site.ask),
            web.post("/sign-in", site.sign_in),
            web.post("/sign-out", site.sign_out),
            web.get("/mimi", _to_mimi),
            *(web.get(f"/{name}", static) for name in ("site.css", "theme.css", "icon.svg")),
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


async def _running_core(app: web.Application) -> AsyncIterator[None]:
    async with app[CORE]:
        yield


# As a process --------------------------------------------------------------------------------------------------------


async def serve(product: Product, port: int, *, or_any: bool) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runner = web.AppRunner(make_app(product), access_log=None, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    try:
        await _listen(runner, port, or_any=or_any)
        print(f"serving http://127.0.0.1:{runner.addresses[0][1]}/", flush=True)
        await stopped.wait()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int, *, or_any: bool) -> None:
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        if not or_any:
            raise PortTakenError(port) from None
        await web.TCPSite(runner, "127.0.0.1", 0).start()


def _quotes_nobody(record: logging.LogRecord) -> bool:
    """Tell whether a record may be logged: aiohttp quotes what it can't parse, and there may be a cookie in it."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one product."""
    parser = argparse.ArgumentParser(description="One product of the partner as a web service.")
    parser.add_argument("product", help="its name, such as player or tv")
    parser.add_argument("--port", type=port, default=0, help="0, the default: any free one")
    parser.add_argument("--or-any", action="store_true", help="any free one, too, where the port is taken")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiohttp.server").addFilter(_quotes_nobody)
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(serve(Product.from_env(options.product), options.port, or_any=options.or_any))
    except PortTakenError as error:
        print(error, file=sys.stderr)
        return 1
    except (MimiError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
