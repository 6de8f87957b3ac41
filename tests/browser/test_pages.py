"""Each page in each state, as a person sees it: accessible, on a phone, in large letters, in both themes.

`make test` checks each state once, in one language and theme; `make proof` checks all of them, and takes pictures.
"""

import itertools
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from mimi_async.testing import IdentityServer

from ..conftest import rounds
from .conftest import NewPage
from .page_states import PAGE_STATES, Scene, open_scene

SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1200, "height": 900}}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LOOKS = [*itertools.product(("de", "en"), SCHEMES)]
CASES = [
    (name, *LOOKS[(number + more) % len(LOOKS)])
    for number, name in enumerate(PAGE_STATES)
    for more in range(rounds(1, len(LOOKS)))
]

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
UNEVEN = """() => {
  const uneven = (card) => {
    const style = getComputedStyle(card);
    const end = card.getBoundingClientRect().bottom - parseFloat(style.paddingBottom) - parseFloat(style.borderBottom);
    const inside = [...card.querySelectorAll("*")].filter((each) => each.checkVisibility() && !each.closest(".unseen"));
    return end - Math.max(...inside.map((each) => each.getBoundingClientRect().bottom));
  };
  const shown = [...document.querySelectorAll(".card")].filter((card) => card.checkVisibility());
  return shown.filter((card) => Math.abs(uneven(card)) > 1).map((card) => [card.innerText.slice(0, 40), uneven(card)]);
}"""
"""The cards whose padding below their content is not that of their style, and the difference."""

pytestmark = pytest.mark.usefixtures("expect_error_statuses")


async def find_violations(page: Page) -> list[str]:
    found: Any = await Axe().run(page, options={"resultTypes": ["violations"], "preload": False})
    return [f"{each['id']}: {node['html']}" for each in found.response["violations"] for node in each["nodes"]]


@pytest.mark.parametrize(("name", "language", "scheme"), CASES)
async def test_a_page_is_accessible_and_fits_each_screen(
    name: str, language: str, scheme: str, new_page: NewPage, shared_server: IdentityServer
) -> None:
    page = await new_page(locale=language, color_scheme=scheme, reduced_motion="reduce", viewport=SIZES["desktop"])
    async with open_scene(shared_server, page) as scene:
        await PAGE_STATES[name](scene)
        assert await page.get_attribute("html", "lang") == language
        assert await find_violations(page) == []
        assert await page.evaluate(MOTION) == 0
        if rounds(0, 1):
            await photograph(scene, f"{name}-{language}", scheme)
        for width in (1200, 320):
            await page.set_viewport_size({"width": width, "height": 640})
            assert await page.evaluate(UNEVEN) == []
        assert await page.evaluate(WIDER_THAN_THE_PAGE) == [0]
        await page.set_viewport_size({"width": 640, "height": 640})
        await page.evaluate("() => { document.documentElement.style.fontSize = '200%'; }")
        assert await page.evaluate(WIDER_THAN_THE_PAGE) == [0]


async def photograph(scene: Scene, name: str, scheme: str) -> None:
    """Take a picture of a page on a phone and on a desktop, for a person to look at."""
    for device, size in SIZES.items():
        await scene.page.set_viewport_size(size)  # type: ignore[arg-type]  # a width and a height
        await scene.page.screenshot(path=SCREENSHOTS / f"{name}-{device}-{scheme}.png", full_page=True)
