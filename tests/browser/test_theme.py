"""The colours, corners and letters of a partner: what a stylesheet changes, by day and by night."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page

from mimi_async.testing import IdentityServer

from ..conftest import rounds
from .conftest import NewPage
from .console import ConsoleErrors
from .page_states import PAGE_STATES, Scene, open_scene
from .test_pages import SCHEMES, find_violations, photograph

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


@pytest.fixture(autouse=True)
def _known(console_errors: ConsoleErrors) -> None:
    """A form with a flaw in it is a 422, and an icon may be asked for when the site is gone again."""
    console_errors.expect("the server responded with a status of 422", "net::ERR_CONNECTION_REFUSED")


@asynccontextmanager
async def open_theme(
    server: IdentityServer, page: Page, css: str, name: str = "profile_measured"
) -> AsyncIterator[Scene]:
    await page.route("**/mine.css", lambda route: route.fulfill(body=css, content_type="text/css"))
    async with open_scene(server, page, theme="/mine.css") as scene:
        await PAGE_STATES[name](scene)
        yield scene


async def read_colours(page: Page) -> list[list[str]]:
    """The colours of page, text and button, by day and by night."""
    found = []
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        found.append(await page.evaluate(COLOURS))
    return found


PAGE, PURPLE = "rgb(255, 248, 231)", "rgb(91, 42, 134)"
SHEETS = {
    "": [LIGHT, DARK],
    ":root { --mimi-scheme: dark }": [DARK, DARK],
    ":root { --mimi-page: #fff8e7; --mimi-scheme: light; }": [[PAGE, *LIGHT[1:]]] * 2,
    ":root { --mimi-accent: #5b2a86; --mimi-page: light-dark(#fff, #000); }": [
        ["rgb(255, 255, 255)", LIGHT[1], PURPLE],
        ["rgb(0, 0, 0)", DARK[1], PURPLE],
    ],
}
"""A stylesheet → the colours by day and by night: those of the system, of one scheme, and of values for one or both."""


async def test_a_stylesheet_sets_the_colours_by_day_and_by_night(page: Page, shared_server: IdentityServer) -> None:
    css = ""
    await page.route("**/mine.css", lambda route: route.fulfill(body=css, content_type="text/css"))
    async with open_scene(shared_server, page, theme="/mine.css") as scene:
        for css, expected in SHEETS.items():  # noqa: B007 - the route sends it
            await scene.open()
            assert await read_colours(page) == expected


async def test_one_colour_by_day_and_none_by_night_stays_readable(
    new_page: NewPage, shared_server: IdentityServer
) -> None:
    page = await new_page(locale="en")
    css = ":root { --mimi-page: #fff8e7; --mimi-scheme: light; --mimi-radius: 1.25rem; }"
    async with open_theme(shared_server, page, css) as scene:
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme)
            assert await find_violations(page) == []
            if rounds(0, 1):
                await photograph(scene, "themed", scheme)


@pytest.mark.parametrize("name", ["profile_measured", "onboarding_too_young", "hearing_test_running", "launcher_known"])
async def test_every_corner_follows_the_one_radius(name: str, page: Page, shared_server: IdentityServer) -> None:
    async with open_theme(shared_server, page, ":root { --mimi-radius: 0rem }", name):
        assert await page.evaluate(ROUND) == []


async def test_a_font_of_the_partner_is_loaded(page: Page, shared_server: IdentityServer) -> None:
    css = '@font-face { font-family: mine; src: url("/mine.woff2"); } :root { --mimi-font: mine, serif; }'
    await page.route("**/mine.woff2", lambda route: route.fulfill(body=b"", content_type="font/woff2"))
    async with page.expect_request("**/mine.woff2"), open_theme(shared_server, page, css, "onboarding"):
        assert "mine" in await page.evaluate("() => getComputedStyle(document.body).fontFamily")
