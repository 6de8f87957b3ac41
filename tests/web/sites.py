"""A partner's product with the pages mounted, on real sockets, and a person who uses them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlencode, urljoin

import aiohttp
import attrs
from aiohttp import web

from mimi_async import (
    AnonymousId,
    AuthController,
    ErasedAnonymousIdError,
    MimiCore,
    MimiError,
    MimiUser,
    ProfileConfiguration,
    TestFlow,
    Timeouts,
)
from mimi_async.hearing.results import FREQUENCIES
from mimi_async.stores import MemoryStore
from mimi_async.testing import IdentityServer
from mimi_async.views.binding import compute_binding
from mimi_async.web import mimi_pages

from .documents import Document

ANONYMOUS = ProfileConfiguration(allows_anonymous_user_only=True)
PAGES = ("", "launcher", "test", "year-of-birth", "edit", "reset", "results", "export", "erased")
_SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
SHORT_TIMEOUT = {"timeout": 0.2}
"""Settings of pages that wait only 0.2 s at the gate."""

QUIET = dict.fromkeys(FREQUENCIES, 20.0)


@attrs.define(eq=False)
class Product:
    """A product: a core of a service, and its pages below /mimi/.

    Attributes:
        server: The identity server.
        ids: The partner's table, account → id.
        store: The SDK's store.
        settings: Further arguments of `mimi_pages`.
        accounts: Session cookie → the account that is signed in.
    """

    server: IdentityServer
    ids: dict[str, AnonymousId] = attrs.field(factory=dict)
    store: Any = attrs.field(factory=MemoryStore)
    settings: dict[str, Any] = attrs.field(factory=dict)
    accounts: dict[str, str] = attrs.field(factory=dict)
    core: MimiCore = attrs.field(init=False)
    url: str = ""

    def __attrs_post_init__(self) -> None:
        self.core = MimiCore(
            self.server.credentials,
            server=self.server.url,
            store=self.store,
            account=None,
            known_id=self.known_id,
            timeouts=Timeouts(retry_base=0.0),
        )
        self.core.observe(self.remember)

    async def known_id(self, account: str) -> AnonymousId | None:
        return self.ids.get(account)

    def remember(
        self, auth: AuthController, /, *, current: MimiUser | None, error: MimiError | None, **_: object
    ) -> None:
        if current is not None:
            self.ids[auth.account] = current.anonymous_id
        elif isinstance(error, ErasedAnonymousIdError) and self.ids.get(auth.account) == error.anonymous_id:
            del self.ids[auth.account]

    async def account_of(self, request: web.Request) -> str | None:
        return self.accounts.get(request.cookies.get("session", ""))

    @asynccontextmanager
    async def mount(self) -> AsyncIterator["Product"]:
        """Serve the pages, before the core is entered."""
        app = web.Application()
        settings = {"account_of": self.account_of, "configuration": ANONYMOUS, "sign_in": "/sign-in", **self.settings}
        app.add_subapp("/mimi/", mimi_pages(self.core, **settings))
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

    @asynccontextmanager
    async def run(self) -> AsyncIterator["Product"]:
        """Serve the pages of an entered core."""
        async with self.mount(), self.core:
            yield self

    @asynccontextmanager
    async def serve_person(self) -> AsyncIterator["Person"]:
        """Serve the pages of an entered core to a person who is signed in."""
        async with self.run(), self.open_browser() as person:
            yield person

    @asynccontextmanager
    async def open_browser(self, account: str | None = "anna", language: str = "en") -> AsyncIterator["Person"]:
        """Open the browser of a person, signed in unless the account is None."""
        session = f"session-{len(self.accounts)}"
        if account is not None:
            self.accounts[session] = account
        headers = {"Accept-Language": language, "Cookie": f"session={session}"}
        async with aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as http:
            yield Person(self, http, session)


@attrs.frozen
class Answer:
    """What a browser gets.

    Attributes:
        path: The path of the request: relative addresses of the page begin there.
    """

    status: int
    headers: Mapping[str, str]
    text: str
    path: str

    @property
    def document(self) -> Document:
        return Document(self.text, self.path)

    @property
    def location(self) -> str | None:
        """Where a redirect leads."""
        location = self.headers.get("Location")
        return None if location is None else urljoin(self.path, location)


@attrs.define(eq=False)
class Person:
    """A person with a browser."""

    product: Product
    http: aiohttp.ClientSession
    session: str

    @property
    def binding(self) -> str:
        """The binding of the form of the onboarding, made here instead of read from the page."""
        salt = bytes(8)
        return (salt + compute_binding(self.product.accounts.get(self.session, ""), salt)).hex()

    async def ask(self, method: str, page: str, **more: Any) -> Answer:
        async with self.http.request(
            method, f"{self.product.url}/mimi/{page}", allow_redirects=False, **more
        ) as response:
            return Answer(response.status, response.headers, await response.text(), f"/mimi/{page}")

    async def get(self, page: str = "") -> Answer:
        return await self.ask("GET", page)

    async def post(self, page: str, headers: Mapping[str, str] | None = None, /, **fields: str) -> Answer:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        if page == "year-of-birth":
            fields = {"binding": self.binding, **fields}
        body = urlencode(fields, errors="replace").encode()
        return await self.ask("POST", page, data=body, headers={**form, **(headers or _SAME_ORIGIN)})

    async def send(self, page: str, body: object) -> tuple[int, Any]:
        """Ask as the script of the hearing test does."""
        answer = await self.ask("POST", page, json=body, headers=_SAME_ORIGIN)
        return answer.status, Document.json(answer.text)

    async def submit(self, document: Document, **changes: str) -> Answer:
        """Send the form of a page that names where it goes, with what the person has changed."""
        return await self.submit_to((document.action or "").removeprefix("/mimi/"), document, **changes)

    async def submit_to(self, page: str, document: Document, **changes: str) -> Answer:
        """Send the form of a page to that page."""
        return await self.post(page, **{**document.fields, **changes})

    async def before_the_end(self, thresholds: Mapping[int, float] = QUIET) -> dict[str, Any]:
        """Begin the hearing test and take it up to its last answer without the pages; return that answer."""
        _, reply = await self.send("test/begin", {})
        account = self.product.accounts[self.session]
        screen = await self.product.core.present(TestFlow(state=reply["state"]), account=account)
        while (tone := screen.presentation) is not None:
            heard = tone.level is not None and tone.level >= thresholds[tone.frequency]
            last, screen = screen.state, screen.answer(heard=heard)
        return {"state": last, "heard": heard}

    async def take_test(self, thresholds: Mapping[int, float] = QUIET) -> Any:
        """Take the whole hearing test; return the last reply."""
        return (await self.send("test/answer", await self.before_the_end(thresholds)))[1]


@asynccontextmanager
async def run_products(server: IdentityServer, *names: str) -> AsyncIterator[dict[str, Product]]:
    """Products of one partner: each has a store of its own, and the table of accounts is shared."""
    ids: dict[str, AnonymousId] = {}
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(Product(server, ids).run()) for name in names}
