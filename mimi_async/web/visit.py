"""A visit: one request of a signed-in person, and what a page needs to answer it."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

import attrs
import jinja2
from aiohttp import hdrs, web

from ..views.marks import MARK_BYTES, is_marked, mark_of
from ..views.profile import Profile, ProfileLauncher
from .forms import Form
from .language import Words, chosen, read_words
from .troubles import Trouble

AccountOf = Callable[[web.Request], Awaitable[str | None]]
"""Tells which account of the partner is signed in by a request; None: nobody is."""

StartOver = Callable[[str], Awaitable[object]]
"""Called with an account when its person decides to go on without a profile that can't be found."""

_SALT_BYTES: Final = 8

SCRIPTED: Final = ("begin", "answer")
"""The pages that a script asks, which reads JSON."""


@attrs.frozen(eq=False)
class Site:
    """What all pages of one mount share.

    Attributes:
        account_of: Who is signed in.
        profile: The profile, a view.
        launcher: The card that leads to it, a view.
        sign_in: Where the partner signs people in, or None.
        start_over: What the partner does when a person goes on without a profile; None: that is not offered.
        theme: The address of a stylesheet of the partner's, or None.
        home: Where the partner's own pages are, or None.
    """

    account_of: AccountOf
    profile: Profile
    launcher: ProfileLauncher
    sign_in: str | None
    start_over: StartOver | None
    theme: str | None
    home: str | None
    words: Mapping[str, Words] = attrs.field(factory=read_words, repr=False)
    templates: jinja2.Environment = attrs.field(repr=False)

    @templates.default
    def _templates(self) -> jinja2.Environment:
        loader = jinja2.PackageLoader(__package__)
        return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)


@attrs.frozen(eq=False)
class Visit:
    """One request.

    Attributes:
        request: What was asked.
        site: Where.
        words: The texts in the language that the browser wants.
        speaks_json: Whether a script asks, which reads JSON.
        form: The fields that were sent, once they are read: kept so that nobody has to write them again.
    """

    request: web.Request
    site: Site
    words: Words
    speaks_json: bool = False
    form: Form = attrs.field(factory=dict, repr=False)

    @classmethod
    def of(cls, request: web.Request, site: Site) -> "Visit":
        """Return the visit that a request is."""
        words = site.words[chosen(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))]
        routes = request.config_dict[ROUTES]
        scripted = {routes[name].canonical for name in SCRIPTED}
        return cls(request, site, words, request.method == hdrs.METH_POST and request.path in scripted)

    # Addresses -------------------------------------------------------------------------------------------------------

    def address(self, page: str, /, **parts: str) -> str:
        """Return the path of a page, the partner's prefix included."""
        return str(self.request.config_dict[ROUTES][page].url_for(**parts))

    def sign_in_address(self) -> str | None:
        """Return where to sign in and come back from: to this page, to the test, or after a form to the profile."""
        if self.site.sign_in is None:
            return None
        after = self.address("test" if self.speaks_json else "profile")
        back = self.request.path if self.request.method == hdrs.METH_GET else after
        return f"{self.site.sign_in}{'&' if '?' in self.site.sign_in else '?'}next={quote(back, safe='/')}"

    def goes_to(self, page: str) -> web.Response:
        """Send the browser on to a page, so that a form is not sent again by going back (RFC 9110, section 15.4.4)."""
        return web.Response(status=303, headers={hdrs.LOCATION: self.address(page)})

    # Answers ---------------------------------------------------------------------------------------------------------

    def page(self, template: str, *, status: int = 200, **facts: Any) -> web.Response:
        """Return a page."""
        text = self.site.templates.get_template(f"{template}.html").render(visit=self, t=self.words, **facts)
        headers = {hdrs.CONTENT_LANGUAGE: self.words.language}
        return web.Response(text=text, status=status, headers=headers, content_type="text/html")

    def told(self, trouble: Trouble) -> web.Response:
        """Return what is said when something has failed: as a page, or as JSON for a script."""
        if self.speaks_json:
            texts = {name: self.words(f"trouble.{trouble.name}.{name}") for name in ("title", "detail")}
            can = "leave" if trouble.way == "start-over" else trouble.way
            facts = {**texts, "can": can, "sign_in": self.sign_in_address() if can == "sign-in" else None}
            response = web.json_response(facts, status=trouble.status)
        else:
            response = self.page("trouble", status=trouble.status, trouble=trouble)
        if trouble.retry_after is not None:
            response.headers[hdrs.RETRY_AFTER] = str(trouble.retry_after)
        return response

    # Whose a page is -------------------------------------------------------------------------------------------------

    def mark(self, whose: str) -> str:
        """Return what a form carries, so that it can't change another profile than the one that was shown.

        Args:
            whose: The id of the user, or, of a form that may make one, the account. Not under a key, which the other
                processes of the product would not have: it guards against a mix-up, not against an attack.
        """
        salt = secrets.token_bytes(_SALT_BYTES)
        return (salt + mark_of(whose, salt)).hex()

    def is_marked(self, whose: str) -> bool:
        """Tell whether the form that was sent was shown for this user or account."""
        try:
            mark = bytes.fromhex(self.form.get("mark", ""))
        except ValueError:
            return False
        return len(mark) == _SALT_BYTES + MARK_BYTES and is_marked(mark[_SALT_BYTES:], whose, mark[:_SALT_BYTES])


ROUTES: Final = web.AppKey("mimi_async_routes", dict[str, web.AbstractResource])
"""The pages by their names, in the sub-application."""
