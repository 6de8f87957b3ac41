"""Where each page is found below the partner's path, and how a partner mounts them."""

from importlib.resources import files
from typing import Final

from aiohttp import web

from ..core import MimiCore
from ..errors import ConfigurationError
from ..views.profile import Profile, ProfileConfiguration, ProfileLauncher
from . import hearing_test, pages
from .door import Door, Handler
from .visit import ROUTES, AccountOf, Site, StartOver

_STATIC: Final = {"mimi.css": "text/css", "mimi.js": "text/javascript", "icon.svg": "image/svg+xml"}


def mimi_pages(
    core: MimiCore,
    *,
    account_of: AccountOf,
    configuration: ProfileConfiguration,
    sign_in: str | None = None,
    start_over: StartOver | None = None,
    theme: str | None = None,
    home: str | None = None,
) -> web.Application:
    """Return the views as web pages, an application for `app.add_subapp("/mimi/", …)`.

    Every page is presented by the core: none runs before its account is restored, and while it can't be, the person is
    told why and what to do. The pages keep nothing in the browser but a running hearing test, until its tab is closed,
    and set no cookie. No page offers to log in or to sign up at Mimi.

    Args:
        core: A core of a service, entered by the host before the first request, or meanwhile: pages wait for it.
        account_of: `async (request) -> account or None`: who is signed in, by the partner's own session. It may raise
            an `aiohttp.web.HTTPException` instead, such as a redirect; the script of the hearing test is then told that
            nobody is signed in.
        configuration: Must say `allows_anonymous_user_only=True` (guide, step 4).
        sign_in: The address of the partner's sign-in, for who is not signed in; it is given the path to come back to
            as `next`.
        start_over: `async (account)`: what the partner does when a person decides to go on without a profile that the
            server does not know, or whose record can't be read: `core.start_over(account)`, which looks for the
            profile once more, and then set aside the id that it returns, so that known_id no longer gives it. A
            ConfigurationError says that there is nothing to set down. None: pages don't offer it.
        theme: The address of a stylesheet of the partner's, on the same origin, that sets the custom properties of
            `mimi.css`.
        home: The address of the partner's own pages, such as "/": each page links there, "Back to the app".

    Raises:
        AnonymousUserOnlyError: The configuration does not say so.
        ConfigurationError: An argument can't be what it should.
    """
    if not isinstance(core, MimiCore) or not callable(account_of):
        msg = "pages need a MimiCore and account_of: mimi_pages(core, account_of=…, configuration=…)"
        raise ConfigurationError(msg)
    if not (start_over is None or callable(start_over)):
        msg = "start_over is `async (account)`, or None"
        raise ConfigurationError(msg)
    for name, address in (("sign_in", sign_in), ("theme", theme), ("home", home)):
        if not (address is None or isinstance(address, str)):
            msg = f'{name} is an address, such as "/{name}", or None'
            raise ConfigurationError(msg)
    site = Site(
        account_of=account_of,
        profile=Profile(configuration),
        launcher=ProfileLauncher(configuration),
        sign_in=sign_in,
        start_over=start_over,
        theme=theme,
        home=home,
    )
    door = Door(core, site)
    app = web.Application(middlewares=[door.middleware])
    app.on_response_prepare.append(door.protect)
    app[ROUTES] = {name: _add(app, path, handlers) for name, (path, handlers) in _pages(door).items()}
    return app


def _pages(door: Door) -> dict[str, tuple[str, dict[str, Handler]]]:
    """Return the pages: name → where, and what answers which method."""
    return {
        "profile": ("/", {"GET": door.view(pages.profile)}),
        "launcher": ("/launcher", {"GET": door.view(pages.launcher)}),
        "onboarding": ("/year-of-birth", {"GET": door.view(pages.onboarding), "POST": door.view(pages.onboard)}),
        "edit": ("/edit", {"GET": door.view(pages.editing), "POST": door.view(pages.edit)}),
        "results": ("/results", {"GET": door.view(pages.results)}),
        "export": ("/export", {"GET": door.view(pages.export)}),
        "reset": ("/reset", {"GET": door.view(pages.resetting), "POST": door.view(pages.reset)}),
        "erased": ("/erased", {"GET": door.view(pages.erased)}),
        "test": ("/test", {"GET": door.view(hearing_test.hearing_test)}),
        "begin": ("/test/begin", {"POST": door.view(hearing_test.begin)}),
        "answer": ("/test/answer", {"POST": door.view(hearing_test.answer)}),
        "start-over": ("/start-over", {"POST": door.start_over()}),
        **{name: (f"/static/{name}", {"GET": _static(name, kind)}) for name, kind in _STATIC.items()},
    }


def _add(app: web.Application, path: str, handlers: dict[str, Handler]) -> web.AbstractResource:
    resource = app.router.add_resource(path)
    for method, handler in handlers.items():
        resource.add_route(method, handler)
        if method == "GET":
            resource.add_route("HEAD", handler)
    return resource


def _static(name: str, content_type: str) -> Handler:
    body = (files(__package__) / "static" / name).read_bytes()

    async def send(request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    return send
