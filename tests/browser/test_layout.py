"""How pages are laid out on a phone and on a desktop: paddings, widths, the sizes of letters in a drawing."""

import pytest
from playwright.async_api import Page

from mimi_async.testing import IdentityServer

from .conftest import NewPage
from .page_states import PAGE_STATES, open_scene

WIDTHS = (320, 390, 479, 768, 1200)

LABELS = """() => {
  const drawing = document.querySelector(".audiogram > svg");
  const scale = drawing.getBoundingClientRect().width / drawing.viewBox.baseVal.width;
  return [...drawing.querySelectorAll("text")].map((label) => scale * parseFloat(getComputedStyle(label).fontSize));
}"""
"""How large the letters of the drawing are on the screen, in pixels."""

COLLISIONS = """() => {
  const drawing = document.querySelector(".audiogram > svg");
  const boxes = (name) => [...drawing.querySelectorAll(name)].map((each) => each.getBoundingClientRect());
  const meet = (one, other) =>
    one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
  const whole = drawing.getBoundingClientRect(), marks = boxes(".mark"), labels = boxes("text");
  const cut = ({ left, right, top, bottom }) =>
    left < whole.left - 1 || right > whole.right + 1 || top < whole.top - 1 || bottom > whole.bottom + 1;
  return {
    marks: marks.length,
    struck: marks.filter((mark) => labels.some((label) => meet(mark, label))).length,
    crowded: labels.filter((one) => labels.some((other) => one !== other && meet(one, other))).length,
    cut: [...marks, ...labels].filter(cut).length,
  };
}"""
"""How many marks run into labels, labels into each other, and how many of both are cut off."""

WIDE = """() => [...document.querySelectorAll("form input:not([type=hidden]), form select")].map((field) =>
  field.getBoundingClientRect().width / field.parentElement.getBoundingClientRect().width)"""


pytestmark = pytest.mark.usefixtures("expect_error_statuses")


async def widen(page: Page, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 800})


async def test_the_labels_of_the_drawing_are_legible_and_free_on_every_screen(
    new_page: NewPage, shared_server: IdentityServer
) -> None:
    page = await new_page(locale="en")
    async with open_scene(shared_server, page) as scene:
        await PAGE_STATES["results_at_the_limits"](scene)
        for width in WIDTHS:
            await widen(page, width)
            sizes = await page.evaluate(LABELS)
            assert 11 <= min(sizes) <= max(sizes) <= 15.5, width
            assert await page.evaluate(COLLISIONS) == {"marks": 12 + 3, "struck": 0, "crowded": 0, "cut": 0}, width
        assert await page.locator(".grid text", has_text="−10").count() == 1


async def test_fields_are_as_wide_as_a_phone_and_no_wider_than_need_be_elsewhere(
    new_page: NewPage, shared_server: IdentityServer
) -> None:
    page = await new_page(locale="en")
    async with open_scene(shared_server, page) as scene:
        await PAGE_STATES["onboarding"](scene)
        for width in WIDTHS:
            await widen(page, width)
            parts = await page.evaluate(WIDE)
            assert len(parts) == 2
            assert all((part > 0.99) == (width <= 480) for part in parts), width


@pytest.mark.parametrize("has_keys", [True, False])
async def test_keys_are_named_where_there_are_any_and_progress_has_a_track(
    has_keys: bool, new_page: NewPage, shared_server: IdentityServer
) -> None:
    page = await new_page(locale="en", has_touch=not has_keys, is_mobile=not has_keys)
    async with open_scene(shared_server, page) as scene:
        await PAGE_STATES["hearing_test_running"](scene)
        assert await page.get_by_text("Press the button when you hear").is_visible()
        assert await page.get_by_text("Space and Enter").is_visible() == has_keys
        track = await page.locator("progress").evaluate("(each) => getComputedStyle(each).borderTopWidth")
        assert track == "1px"
