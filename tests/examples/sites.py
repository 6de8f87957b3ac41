"""A product of the partner as a running web service, and a client that acts as a browser."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from examples.partner_service.accounts import Accounts
from examples.partner_service.product import Product, store_of
from examples.partner_service.sessions import Sessions
from examples.partner_service.site import make_app
from mimi_async.testing import IdentityServer

PASSWORD = "a long password"
OF_THIS_SITE = {"Sec-Fetch-Site": "same-origin"}
NOTHING = {"nothing": ""}


def product_of(server: IdentityServer, folder: Path, name: str = "player") -> Product:
    accounts = Accounts(folder / "accounts.sqlite3")
    return Product(name, server.url, server.new_client(), accounts, store_of(folder, name))


class Page(HTMLParser):
    """A parsed page: elements, text, links and the values of inputs."""

    def __init__(self, status: int, fields: Mapping[str, str], markup: str) -> None:
        super().__init__()
        self.status, self.fields, self.markup = status, fields, markup
        self.elements: list[str] = []
        self.values: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.elements.append(f"{tag} {' '.join(sorted(values))}")
        self.values += [values["value"] or ""] if "value" in values else []
        self.links += [values["href"] or ""] if "href" in values else []

    def handle_data(self, data: str) -> None:
        self.text += data


class Site:
    """A running product."""

    def __init__(self, app: web.Application, product: Product, sessions: Sessions, port: int) -> None:
        self.app, self.product, self.sessions = app, product, sessions
        self.url = f"http://127.0.0.1:{port}"
        self.cookie = f"{product.name}-session"


@asynccontextmanager
async def running(product: Product, sessions: Sessions | None = None) -> AsyncIterator[Site]:
    sessions = sessions or Sessions()
    app = make_app(product, sessions)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Site(app, product, sessions, runner.addresses[0][1])
    finally:
        await runner.cleanup()


class Person:
    """A client with a cookie jar. It sends a cookie to every port of a host and follows no redirects."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def ask(self, method: str, url: str, **options: Any) -> Page:
        async with self._http.request(method, url, allow_redirects=False, **options) as reply:
            markup = await reply.text() if reply.content_type == "text/html" else ""
            return Page(reply.status, reply.headers, markup)

    async def get(self, url: str) -> Page:
        return await self.ask("GET", url)

    async def post(self, url: str, form: Mapping[str, str] = NOTHING, fields: Mapping[str, str] = OF_THIS_SITE) -> Page:
        return await self.ask("POST", url, data=form, headers=fields)

    async def sign_in(self, site: Site, account: str, password: str = PASSWORD, query: str = "") -> Page:
        return await self.post(f"{site.url}/sign-in{query}", {"account": account, "password": password})

    async def onboard(self, url: str) -> Page:
        """Submit a year of birth on the pages of Mimi."""
        binding = (await self.get(f"{url}/mimi/year-of-birth")).values[0]
        return await self.post(f"{url}/mimi/year-of-birth", {"binding": binding, "year_of_birth": "1980", "sex": ""})

    def carry(self, site: Site, account: str) -> str:
        """Set the cookie of a new session without a sign-in; return its token."""
        token = site.sessions.begin(account)
        self._http.cookie_jar.update_cookies({site.cookie: token}, URL(site.url))
        return token

    def token(self, site: Site) -> str | None:
        return next((cookie.value for cookie in self._http.cookie_jar if cookie.key == site.cookie), None)

    async def account(self, site: Site) -> str | None:
        """Return the account that the home page shows."""
        page = await self.get(f"{site.url}/")
        assert page.status == 200
        _, found, rest = page.text.partition("You are signed in as ")
        return rest.partition(".\n")[0] if found else None


@asynccontextmanager
async def person() -> AsyncIterator[Person]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield Person(http)
