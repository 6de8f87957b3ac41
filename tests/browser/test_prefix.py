"""The pages behind a real nginx that takes a prefix off: the application never learns of the prefix."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
from playwright.async_api import Page, Response, expect

from mimi_async.testing import IdentityServer

from ..conftest import rounds
from .conftest import NewPage
from .console import ConsoleErrors
from .listener import SILENCE, TONE_AND_WINDOW, Clock
from .nginx import serve_below_prefix
from .page_states import Scene, open_scene

PREFIX = "/product/one/"
SIGN_IN = {"sign_in": "/sign-in", "home": "/home"}
WHOLE_APP, PAGES_ALONE = "the whole app", "the pages alone"
MAPPINGS = {WHOLE_APP: ("/", f"{PREFIX}mimi/"), PAGES_ALONE: ("/mimi/", PREFIX)}
"""The path to which nginx maps the prefix, and the path of the pages in the browser."""


@attrs.define(eq=False)
class Gateway:
    """A browser in front of nginx.

    Attributes:
        scene: The product behind it.
        origin: The scheme, host and port of nginx.
        path: Where the browser finds the pages.
        failed: The status and the address of each reply of 4xx and 5xx.
    """

    scene: Scene
    origin: str
    path: str
    failed: list[str] = attrs.field(factory=list)

    @property
    def page(self) -> Page:
        return self.scene.page

    def record(self, response: Response) -> None:
        if response.status >= 400:
            self.failed.append(f"{response.status} {response.url}")

    async def open(self, page: str) -> None:
        await self.page.goto(f"{self.origin}{self.path}{page}")

    async def expect_title(self, title: str, page: str) -> None:
        """Expect a heading, and the address of the page that shows it."""
        await expect(self.page.get_by_role("heading", level=1, name=title, exact=True)).to_be_visible()
        assert self.page.url == f"{self.origin}{self.path}{page}"


@asynccontextmanager
async def behind_nginx(server: IdentityServer, page: Page, folder: Path, mapping: str) -> AsyncIterator[Gateway]:
    mapped_to, path = MAPPINGS[mapping]
    async with (
        open_scene(server, page, **SIGN_IN) as scene,
        serve_below_prefix(folder, scene.product.url + mapped_to, PREFIX) as origin,
    ):
        gateway = Gateway(scene, origin, path)
        page.on("response", lambda response: gateway.record(response))
        yield gateway
        await page.close()  # before nginx ends: a request in flight would fail


async def is_styled(page: Page) -> bool:
    """Return whether the stylesheet was loaded, by its number of rules."""
    return bool(await page.evaluate("() => [...document.styleSheets].some((sheet) => sheet.cssRules.length > 50)"))


@pytest.mark.parametrize("mapping", [PAGES_ALONE, WHOLE_APP][: rounds(1, 2)])
async def test_a_person_uses_all_pages_below_a_prefix_that_nginx_takes_off(
    mapping: str, server: IdentityServer, new_page: NewPage, tmp_path: Path
) -> None:
    page = await new_page(frozen=True)
    async with behind_nginx(server, page, tmp_path, mapping) as gateway:
        await gateway.open("launcher")
        await gateway.expect_title("Make sound fit your hearing", "launcher")
        assert await is_styled(page)
        await page.get_by_role("link", name="Set it up").click()
        await gateway.expect_title("Make sound fit your hearing", "")
        await page.get_by_role("link", name="Use my year of birth").click()
        await gateway.expect_title("When were you born?", "year-of-birth")
        await page.get_by_label("Year of birth").fill("1970")
        await page.get_by_role("button", name="Set up my profile").click()
        await gateway.expect_title("Your hearing profile", "")
        await page.get_by_role("link", name="Take the hearing test").click()
        await gateway.expect_title("Hearing test", "test")
        await finish_the_test(gateway)
        await gateway.expect_title("Result of your hearing test", "results")
        async with page.expect_download() as download:
            await page.goto(f"{gateway.origin}{gateway.path}")
            await page.get_by_role("link", name="Download everything").click()
        assert (await download.value).url == f"{gateway.origin}{gateway.path}export"
        await page.get_by_role("link", name="Erase this profile").click()
        await gateway.expect_title("Erase this profile?", "reset")
        await page.get_by_label("I am sure").check()
        await page.get_by_role("button", name="Erase my profile").click()
        await gateway.expect_title("Your profile was erased", "erased")
        await page.wait_for_load_state()
        assert gateway.failed == []
        assert server.users == 0


async def finish_the_test(gateway: Gateway) -> None:
    """Give the last answer of a test in the browser; a script has given the others."""
    page, clock = gateway.page, Clock(gateway.page)
    last = await gateway.scene.person.before_the_end()
    await page.evaluate("(state) => { sessionStorage['mimi-hearing-test'] = state; }", last["state"])
    await page.reload()
    await page.get_by_role("button", name="Go on with your test").click()
    await clock.let_pass(SILENCE)
    await clock.is_waiting(TONE_AND_WINDOW)
    if last["heard"]:
        await page.keyboard.press("Space")
    else:
        await clock.let_pass(TONE_AND_WINDOW)


async def test_a_signed_out_person_is_led_to_the_sign_in_below_the_prefix(
    server: IdentityServer, page: Page, tmp_path: Path, console_errors: ConsoleErrors
) -> None:
    console_errors.expect("the server responded with a status of 401")
    async with behind_nginx(server, page, tmp_path, WHOLE_APP) as gateway:
        await gateway.open("test")
        gateway.scene.product.accounts.clear()
        await page.get_by_role("button", name="Begin the test").click()
        link = page.get_by_role("link", name="Sign in, in a new tab")
        await expect(link).to_be_visible()
        below = f"{gateway.origin}{PREFIX}"
        assert await link.evaluate("(link) => link.href") == f"{below}sign-in?next=/mimi/test"
        await gateway.open("results")
        assert await page.get_by_role("link", name="Sign in").evaluate("(link) => link.href") == (
            f"{below}sign-in?next=/mimi/results"
        )
        home = page.get_by_role("link", name="Back to the app")
        assert await home.evaluate("(link) => link.href") == f"{below}home"
