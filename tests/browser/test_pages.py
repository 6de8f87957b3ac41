"""Each page as a person sees it: readable for everybody, on a phone, in large letters, by day and by night."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from mimi_async.testing import IdentityServer

from .complaints import Complaints
from .conftest import NewPage
from .gallery import GALLERY, Scene, scene_of

SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1200, "height": 900}}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

WIDER_THAN_THE_PAGE = """() => {
  const wide = document.scrollingElement.scrollWidth - document.documentElement.clientWidth;
  const cut = [...document.querySelectorAll("h1, h2, p, a, button, label, dd, dt, li, caption")].filter((element) =>
    element.checkVisibility() && !element.closest(".scroll, .unseen, .skip") &&
    (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== "inline" ||
     element.getBoundingClientRect().right > innerWidth + 1));
  return [wide, ...cut.map((element) => element.outerHTML.slice(0, 120))];
}"""
MOTION = """() => [...document.querySelectorAll("*")].filter((element) => {
  const style = getComputedStyle(element);
  return style.transitionDuration !== "0s" || style.animationName !== "none" || style.scrollBehavior !== "auto";
}).length + document.getAnimations().length"""


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[IdentityServer]:
    async with IdentityServer() as server:
        yield server


@pytest.fixture(autouse=True)
def status_codes_are_no_complaints(complaints: Complaints, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chromium logs each answer of 4xx and 5xx as an error; the pages that have such a status are meant."""
    complaints.expect("Failed to load resource: the server responded with a status of")
    monkeypatch.setattr("mimi_async.transport.retries.JITTER_BASE", 0.0)


async def violations(page: Page) -> list[str]:
    found: Any = await Axe().run(page)
    return [f"{each['id']}: {node['html']}" for each in found.response["violations"] for node in each["nodes"]]


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("name", GALLERY)
async def test_a_page_is_accessible_by_day_and_by_night(
    name: str, language: str, new_page: NewPage, server: IdentityServer
) -> None:
    page = await new_page(locale=language, viewport=SIZES["desktop"])
    async with scene_of(server, page) as scene:
        await GALLERY[name](scene)
        assert await page.get_attribute("html", "lang") == language
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme)
            assert await violations(page) == []
            if language == "en":
                await photograph(scene, name, scheme)


async def photograph(scene: Scene, name: str, scheme: str) -> None:
    """Take a picture of a page on a phone and on a desktop, to be looked at."""
    for device, size in SIZES.items():
        await scene.page.set_viewport_size(size)  # type: ignore[arg-type]  # a width and a height
        path = SCREENSHOTS / f"{name}-{device}-{scheme}.png"
        await scene.page.screenshot(path=path, full_page=True)
        assert path.stat().st_size > 1000


@pytest.mark.parametrize("name", GALLERY)
async def test_a_page_fits_320_pixels_and_letters_of_twice_the_size(
    name: str, new_page: NewPage, server: IdentityServer
) -> None:
    page = await new_page(locale="de", viewport={"width": 320, "height": 640}, reduced_motion="reduce")
    async with scene_of(server, page) as scene:
        await GALLERY[name](scene)
        assert await page.evaluate(WIDER_THAN_THE_PAGE) == [0]
        assert await page.evaluate(MOTION) == 0
        await page.set_viewport_size({"width": 640, "height": 640})
        await page.evaluate("() => { document.documentElement.style.fontSize = '200%'; }")
        assert await page.evaluate(WIDER_THAN_THE_PAGE) == [0]
