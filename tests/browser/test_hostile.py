"""Hostile texts in pages that a browser shows without their policy: none runs as a script even so."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page

from mimi_async.testing import IdentityServer

from ..conftest import rounds
from ..web.hostile import HOSTILE, ONE_OF_EACH_SHAPE
from ..web.sites import Product
from .conftest import NewPage
from .console import ConsoleErrors

FIELDS = ("year_of_birth", "sex", "binding", "was_year_of_birth", "was_sex")
TEXTS = (ONE_OF_EACH_SHAPE, HOSTILE)[rounds(0, 1)]
ALARM = "() => { globalThis.ran = 0; globalThis.alert = () => { ran += 1; }; }"


@pytest_asyncio.fixture(loop_scope="session")
async def pages_with_hostile_texts() -> AsyncIterator[list[str]]:
    """The replies to hostile texts in every field: of the form, and of the sign-in page."""
    async with IdentityServer() as server, Product(server).run() as product, product.open_browser() as person:
        await person.post("year-of-birth", year_of_birth="1980", sex="")
        mark = (await person.get("edit")).document.fields["binding"]
        everywhere = [dict.fromkeys(FIELDS, text) for text in TEXTS]
        found = [(await person.post("edit", **fields | {"binding": mark})).text for fields in everywhere]
        product.accounts.clear()
        names = [{text[:200]: text} for text in TEXTS]
        found += [(await person.post("edit", **f, **name)).text for f, name in zip(everywhere, names, strict=True)]
        yield found


async def show_page(page: Page, markup: str) -> object:
    """Let a browser show a page without any policy, look at what it makes of it, and touch everything in it."""
    await page.set_content(markup, wait_until="load")
    return await page.evaluate(
        """() => {
          for (const element of document.querySelectorAll("*")) {
            element.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
            element.focus?.();
          }
          const injected = "main script, main img, main iframe, main style, main svg, base, math, object, embed";
          const handlers = [...document.querySelectorAll("*")].filter((element) =>
            element.getAttributeNames().some((name) => name.startsWith("on")));
          return [globalThis.ran ?? 0, document.querySelectorAll(injected).length, handlers.length];
        }"""
    )


async def test_no_hostile_text_becomes_a_script_or_an_element(
    new_page: NewPage, pages_with_hostile_texts: list[str], console_errors: ConsoleErrors
) -> None:
    page = await new_page()
    await page.route("**/*", lambda route: route.abort())  # the stylesheet is not what is looked at
    console_errors.expect("net::ERR_FAILED")
    await page.add_init_script(f"({ALARM})()")
    assert len(pages_with_hostile_texts) == 2 * len(TEXTS)
    for markup in pages_with_hostile_texts:
        assert "1980" in markup or "card error" in markup
        assert await show_page(page, markup) == [0, 0, 0]


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror="alert(1)">'])
async def test_the_alarm_sounds_where_a_page_does_not_escape(
    text: str, new_page: NewPage, console_errors: ConsoleErrors
) -> None:
    page = await new_page()
    console_errors.expect("net::ERR")
    await page.add_init_script(f"({ALARM})()")
    assert await show_page(page, f'<main><input value="{text}">{text}</main>') != [0, 0, 0]
