"""One request of a page, and what a page needs to answer it: texts, addresses, templates, bindings."""

import datetime as dt
import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote

import attrs
import jinja2
from aiohttp import hdrs, web

from ..views.binding import BINDING_BYTES, compute_binding, is_bound
from ..views.profile import Profile, ProfileLauncher
from .error_pages import ErrorPage
from .forms import Form
from .i18n import Catalog, choose_language, read_catalogs

AccountOf = Callable[[web.Request], Awaitable[str | None]]
"""Returns the account of the partner that is signed in by a request, by the partner's own session; None: no account is.

It may raise an `aiohttp.web.HTTPException` instead, such as a redirect; the script of the hearing test then gets a 401.
"""

StartOver = Callable[[str], Awaitable[object]]
"""Called with an account when its person decides to go on without a profile that the server does not know, or whose
record can't be read.

It calls `core.start_over(account, drop=…)`, which looks for the profile once more and calls `drop` to quarantine the
partner's copy of the id. A ConfigurationError means that nothing was discarded.
"""

Timezone = Callable[[web.Request], Awaitable[dt.tzinfo | None]]
"""Returns the time zone in which a page shows times, such as `zoneinfo.ZoneInfo("Europe/Berlin")`.

Where it returns None, fails or is late, times are shown in the zone of the browser, and without JavaScript in UTC, with
that label. A failure is logged.
"""

_SALT_BYTES: Final = 8

_SCRIPTED: Final = ("begin", "answer")
"""The addresses to which the script of the hearing test posts, and whose replies it reads as JSON."""


@cache
def compile_templates() -> jinja2.Environment:
    """Compile every template, once in a process: a request must not wait for the file system."""
    templates = (files(__package__) / "templates").iterdir()
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({file.name: file.read_text("utf-8") for file in templates}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        auto_reload=False,
    )
    for name in environment.list_templates():
        environment.get_template(name)
    return environment


def make_relative(path: str, base: str) -> str:
    """Return the relative reference to a path from a base (RFC 3986, section 4.2); both are encoded and absolute.

    It is right behind a proxy that strips a prefix: it contains no more "../" than the two paths differ by.
    """
    folders, parts = base.split("/")[:-1], path.split("/")
    shared = 0
    while shared < min(len(folders), len(parts) - 1) and folders[shared] == parts[shared]:
        shared += 1
    ups = "../" * (len(folders) - shared) or "./"
    return ups + "/".join(parts[shared:])


@attrs.frozen(eq=False)
class Site:
    """What all pages of one mount share: the checked arguments of `mimi_pages`, the views, texts and templates."""

    account_of: AccountOf
    profile: Profile
    launcher: ProfileLauncher
    sign_in: str | None
    start_over: StartOver | None
    theme: str | None
    home: str | None
    timezone: Timezone | None
    timeout: float
    catalogs: Mapping[str, Catalog] = attrs.field(factory=read_catalogs, repr=False)
    templates: jinja2.Environment = attrs.field(factory=compile_templates, repr=False)


@attrs.frozen(eq=False)
class PageRequest:
    """One request of a page.

    Attributes:
        catalog: The texts in the language that the browser prefers.
        is_from_script: Whether the script of the hearing test sent it, which reads JSON.
        form: The fields of the form once they are read: error pages keep them, so that the person can send them again.
        zone: The time zone that the host named, or None.
    """

    http: web.Request
    site: Site
    catalog: Catalog
    is_from_script: bool = False
    form: Form = attrs.field(factory=dict, repr=False)
    zone: dt.tzinfo | None = None

    @classmethod
    def from_http(cls, http: web.Request, site: Site) -> "PageRequest":
        """Choose the language of a request, and find out whether a script sent it."""
        catalog = site.catalogs[choose_language(http.headers.get(hdrs.ACCEPT_LANGUAGE, ""))]
        routes = http.config_dict[ROUTES]
        scripted = {routes[name].canonical for name in _SCRIPTED}
        return cls(http, site, catalog, http.method == hdrs.METH_POST and http.path in scripted)

    def address(self, page: str, /, **parts: str) -> str:
        """Return the address of a page, relative to this request."""
        return self.link(self._path(page, **parts))

    def link(self, address: str) -> str:
        """Return an address as this reply writes it: a path of the app becomes relative, to be right behind a proxy."""
        return make_relative(address, self.http.rel_url.raw_path) if address.startswith("/") else address

    def _path(self, page: str, /, **parts: str) -> str:
        return str(self.http.config_dict[ROUTES][page].url_for(**parts))

    def sign_in_address(self) -> str | None:
        """Return the address of the sign-in. It leads back to this page, to the test, or after a form to the profile.

        `next` is a path in the app: it can't be relative, since the sign-in has no page to start from.
        """
        if self.site.sign_in is None:
            return None
        after = self._path("test" if self.is_from_script else "profile")
        back = self.http.path if self.http.method == hdrs.METH_GET else after
        sign_in = self.link(self.site.sign_in)
        return f"{sign_in}{'&' if '?' in sign_in else '?'}next={quote(back, safe='/')}"

    def redirect(self, page: str) -> web.Response:
        """Redirect to a page by a 303, so that the back button sends no form again (RFC 9110, section 15.4.4)."""
        return web.Response(status=303, headers={hdrs.LOCATION: self.address(page)})

    def render(self, template: str, *, status: int = 200, **context: Any) -> web.Response:
        """Render a page."""
        text = self.site.templates.get_template(f"{template}.html").render(request=self, t=self.catalog, **context)
        headers = {hdrs.CONTENT_LANGUAGE: self.catalog.language}
        return web.Response(text=text, status=status, headers=headers, content_type="text/html")

    def render_error(self, page: ErrorPage) -> web.Response:
        """Render an error: as a page, or as JSON for a script."""
        if self.is_from_script:
            texts = {name: self.catalog(f"error.{page.name}.{name}") for name in ("title", "detail")}
            step = "leave" if page.next_step == "start-over" else page.next_step
            facts = {**texts, "next_step": step, "sign_in": self.sign_in_address() if step == "sign-in" else None}
            response = web.json_response(facts, status=page.status)
        else:
            response = self.render("error", status=page.status, error=page)
        if page.retry_after is not None:
            response.headers[hdrs.RETRY_AFTER] = str(page.retry_after)
        return response

    def bind(self, owner: str) -> str:
        """Return a text that binds a form to the profile for which it is shown: it can't change another one.

        Args:
            owner: The id of the user, or, of a form that may create one, the account. No key is used, which the other
                processes of the product would not have: a binding protects from a mix-up, not from an attack.
        """
        salt = secrets.token_bytes(_SALT_BYTES)
        return (salt + compute_binding(owner, salt)).hex()

    def is_bound_to(self, owner: str) -> bool:
        """Return whether the form was shown for this user or account."""
        try:
            sent = bytes.fromhex(self.form.get("binding", ""))
        except ValueError:
            return False
        salt, binding = sent[:_SALT_BYTES], sent[_SALT_BYTES:]
        return len(binding) == BINDING_BYTES and is_bound(binding, owner, salt)


ROUTES: Final = web.AppKey("mimi_async_routes", dict[str, web.AbstractResource])
"""The pages by their names, in the sub-application."""
