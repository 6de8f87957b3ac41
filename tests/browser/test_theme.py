"""The colours, corners and letters of a partner: what a stylesheet changes, by day and by night."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Page

from mimi_async.testing import IdentityServer

from .complaints import Complaints
from .conftest import NewPage
from .gallery import GALLERY, Scene, scene_of
from .test_pages import SCHEMES, photograph, violations

COLOURS = """() => {
  const style = (name) => getComputedStyle(document.querySelector(name));
  return [style("html").backgroundColor, style("html").color, style(".button").backgroundColor];
}"""
ROUND = """() => [...document.querySelectorAll("*")].filter((each) => {
  const { borderTopLeftRadius: corner } = getComputedStyle(each);
  return parseFloat(corner) > 0;
}).map((each) => each.outerHTML.slice(0, 80))"""
LIGHT, DARK = (
    ["rgb(244, 246, 246)", "rgb(20, 32, 31)", "rgb(11, 100, 100)"],
    ["rgb(14, 21, 21)", "rgb(233, 240, 239)", "rgb(95, 208, 200)"],
)


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[IdentityServer]:
    async with IdentityServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _known(complaints: Complaints) -> None:
    """A form with a flaw in it is a 422, and an icon may be asked for when the site is gone again."""
    complaints.expect("the server responded with a status of 422", "net::ERR_CONNECTION_REFUSED")


@asynccontextmanager
async def themed(server: IdentityServer, page: Page, css: str, name: str = "profile_measured") -> AsyncIterator[Scene]:
    await page.route("**/mine.css", lambda route: route.fulfill(body=css, content_type="text/css"))
    async with scene_of(server, page, theme="/mine.css") as scene:
        await GALLERY[name](scene)
        yield scene


async def colours(page: Page) -> list[list[str]]:
    """The colours of page, text and button, by day and by night."""
    found = []
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        found.append(await page.evaluate(COLOURS))
    return found


async def test_day_and_night_follow_the_system(page: Page, server: IdentityServer) -> None:
    async with themed(server, page, ""):
        assert await colours(page) == [LIGHT, DARK]


async def test_one_colour_by_day_and_none_by_night_stays_readable(new_page: NewPage, server: IdentityServer) -> None:
    page = await new_page(locale="en")
    css = ":root { --mimi-page: #fff8e7; --mimi-scheme: light; --mimi-radius: 1.25rem; }"
    async with themed(server, page, css) as scene:
        assert await colours(page) == [["rgb(255, 248, 231)", *LIGHT[1:]]] * 2
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme)
            assert await violations(page) == []
            await photograph(scene, "themed", scheme)


async def test_a_scheme_may_be_always_dark(page: Page, server: IdentityServer) -> None:
    async with themed(server, page, ":root { --mimi-scheme: dark }"):
        assert await colours(page) == [DARK, DARK]


async def test_a_colour_holds_by_day_and_by_night_and_two_where_both_are_given(
    page: Page, server: IdentityServer
) -> None:
    css = ":root { --mimi-accent: #5b2a86; --mimi-page: light-dark(#fff, #000); }"
    async with themed(server, page, css):
        purple = "rgb(91, 42, 134)"
        assert await colours(page) == [
            ["rgb(255, 255, 255)", LIGHT[1], purple],
            ["rgb(0, 0, 0)", DARK[1], purple],
        ]


@pytest.mark.parametrize("name", ["profile_measured", "onboarding_too_young", "hearing_test_running", "launcher_known"])
async def test_every_corner_follows_the_one_radius(name: str, page: Page, server: IdentityServer) -> None:
    async with themed(server, page, ":root { --mimi-radius: 0rem }", name):
        assert await page.evaluate(ROUND) == []


async def test_a_font_of_the_partner_is_loaded(page: Page, server: IdentityServer) -> None:
    css = '@font-face { font-family: mine; src: url("/mine.woff2"); } :root { --mimi-font: mine, serif; }'
    await page.route("**/mine.woff2", lambda route: route.fulfill(body=b"", content_type="font/woff2"))
    async with page.expect_request("**/mine.woff2"), themed(server, page, css, "onboarding"):
        assert "mine" in await page.evaluate("() => getComputedStyle(document.body).fontFamily")
