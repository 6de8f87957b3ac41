"""The application of the pages: their addresses, and `mimi_pages`, by which a partner mounts them."""

from importlib.resources import files
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from ..core import MimiCore
from ..errors import ConfigurationError
from ..host_functions import validate_function
from ..views.profile import Profile, ProfileConfiguration, ProfileLauncher
from . import hearing_test, pages
from .dispatch import Handler, PageDispatcher
from .page_request import ROUTES, AccountOf, Site, StartOver, Timezone
from .security import protect

_STATIC: Final = {
    "mimi.css": "text/css",
    "mimi.js": "text/javascript",
    "times.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


def mimi_pages(
    core: MimiCore,
    *,
    account_of: AccountOf,
    configuration: ProfileConfiguration,
    sign_in: str | None = None,
    start_over: StartOver | None = None,
    theme: str | None = None,
    home: str | None = None,
    timezone: Timezone | None = None,
    timeout: float = 10.0,
) -> web.Application:
    """Return the views as web pages, an application for `app.add_subapp("/mimi/", …)`.

    The core presents every page: no page runs before its account is restored. While the restore fails, an error page
    says why, and what the person can do. The browser stores nothing but a running hearing test, until its tab is
    closed; the pages set no cookie. No page offers to log in or to sign up at Mimi.

    Each address on a page is relative to that page, so that it is right behind a proxy that strips a prefix. An address
    of the host, `sign_in`, `theme` or `home`, is a path of the app that mounts the pages, without such a prefix, and
    becomes relative as well; an absolute "https://…" URL stays as it is.

    Args:
        core: A core of a service. The host enters it; requests before that wait.
        account_of: `async (request)`: returns the account that is signed in, see `AccountOf`.
        configuration: Must say `allows_anonymous_user_only=True` (guide, step 4).
        sign_in: The address of the partner's sign-in. Its query gets `next`, the path of the app to return to.
        start_over: `async (account)`: calls `core.start_over(account, drop=…)`, see `StartOver`. None: the pages do not
            offer to go on without a lost profile.
        theme: The address of a stylesheet of the partner, on the same origin, that sets the custom properties of
            `mimi.css`.
        home: The address of the partner's own pages, such as "/": each page links there, "Back to the app".
        timezone: `async (request)`: returns the zone in which times are shown, see `Timezone`.
        timeout: Seconds for a call of `account_of` or `timezone`, and from there until the account is restored. After
            that the browser gets a page that asks again every few seconds.

    Raises:
        AnonymousUserOnlyError: The configuration does not say so.
        ConfigurationError: An argument is not valid.
    """
    _check_functions(core, account_of, start_over, timezone)
    site = Site(
        account_of=account_of,
        profile=Profile(configuration),
        launcher=ProfileLauncher(configuration),
        sign_in=validate_address("sign_in", sign_in),
        start_over=start_over,
        theme=validate_address("theme", theme),
        home=validate_address("home", home),
        timezone=timezone,
        timeout=timeout,
    )
    dispatcher = PageDispatcher(core, site)
    app = web.Application(middlewares=[dispatcher.dispatch])
    app.on_response_prepare.append(protect)
    app[ROUTES] = {name: _add_routes(app, path, handlers) for name, (path, handlers) in _list_pages(dispatcher).items()}
    return app


def validate_address(name: str, address: object) -> str | None:
    """Return an address of the host: a path of its app, an absolute URL, or None.

    Raises:
        ConfigurationError: The address is another value, or a browser reads it as another address.
    """
    if address is None or (isinstance(address, str) and _is_address(address)):
        return address
    msg = (
        f'{name} is an address or None: a path of the app that mounts the pages, such as "/{name}", or an'
        ' absolute "https://…" URL, without blanks, backslashes and control characters'
    )
    raise ConfigurationError(msg)


def _is_address(address: str) -> bool:
    if not address.isprintable() or {" ", "\\"} & {*address}:
        return False
    if address.startswith("/"):
        return not address.startswith("//")  # another site
    try:
        url = urlsplit(address)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.hostname)


def _check_functions(core: object, account_of: object, start_over: object, timezone: object) -> None:
    if not isinstance(core, MimiCore) or account_of is None:
        msg = "pages need a MimiCore and account_of: mimi_pages(core, account_of=…, configuration=…)"
        raise ConfigurationError(msg)
    validate_function(account_of, "account_of is an `async def account_of(request)`", None)
    if start_over is not None:
        validate_function(start_over, "start_over is an `async def start_over(account)`, or None", "account")
    if timezone is not None:
        validate_function(timezone, "timezone is an `async def timezone(request)`, or None", None)


def _list_pages(dispatcher: PageDispatcher) -> dict[str, tuple[str, dict[str, Handler]]]:
    """Return the pages: name → path, and the handler of each method."""
    view = dispatcher.view
    return {
        "profile": ("/", {"GET": view(pages.show_profile)}),
        "launcher": ("/launcher", {"GET": view(pages.show_launcher)}),
        "onboarding": ("/year-of-birth", {"GET": view(pages.show_onboarding), "POST": view(pages.onboard)}),
        "edit": ("/edit", {"GET": view(pages.show_edit), "POST": view(pages.edit)}),
        "results": ("/results", {"GET": view(pages.show_results)}),
        "delete-test": (
            "/results/{test}/delete",
            {"GET": view(pages.confirm_test_deletion), "POST": view(pages.delete_test)},
        ),
        "export": ("/export", {"GET": view(pages.export)}),
        "reset": ("/reset", {"GET": view(pages.confirm_reset), "POST": view(pages.reset)}),
        "erased": ("/erased", {"GET": view(pages.show_erased)}),
        "test": ("/test", {"GET": view(hearing_test.show_test)}),
        "begin": ("/test/begin", {"POST": view(hearing_test.begin)}),
        "answer": ("/test/answer", {"POST": view(hearing_test.answer)}),
        "start-over": ("/start-over", {"POST": dispatcher.start_over()}),
        **{name: (f"/static/{name}", {"GET": _serve_static(name, kind)}) for name, kind in _STATIC.items()},
    }


def _add_routes(app: web.Application, path: str, handlers: dict[str, Handler]) -> web.AbstractResource:
    resource = app.router.add_resource(path)
    for method, handler in handlers.items():
        resource.add_route(method, handler)
        if method == "GET":
            resource.add_route("HEAD", handler)
    return resource


def _serve_static(name: str, content_type: str) -> Handler:
    body = (files(__package__) / "static" / name).read_bytes()

    async def send(request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    return send
