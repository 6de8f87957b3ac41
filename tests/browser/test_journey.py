"""The whole way of a person: sign in, onboard, take the test, find it on the second product, reset it there."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Error, Page, expect

from mimi_async.hearing.staircase import Ear, Presentation
from mimi_async.testing import IdentityServer

from ..examples.sites import PASSWORD, Site, product_of, running
from ..hearing.listeners import Listener as Hearing
from .complaints import Complaints
from .conftest import NewPage
from .listener import SILENCE, SPY, TONE_AND_WINDOW, Clock

HEARING = Hearing(
    right={250: 10, 500: 10, 1000: 15, 2000: 25, 4000: 45, 8000: 60},
    left={250: 5, 500: 5, 1000: 10, 2000: 20, 4000: 30, 8000: 40},
)
CLOSED = "Your hearing profile can’t be reached just now"
NEW = "Make sound fit your hearing"

FOCUSED = "() => document.activeElement.labels?.[0]?.innerText ?? document.activeElement.innerText"
"""The name of what has the focus."""


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[IdentityServer]:
    async with IdentityServer() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def sites(server: IdentityServer, tmp_path: Path) -> AsyncIterator[dict[str, Site]]:
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(running(product_of(server, tmp_path, name)))
            for name in ("player", "tv")
        }


async def reach(page: Page, name: str) -> None:
    """Press Tab until the element of this name has the focus."""
    for _ in range(40):
        await page.keyboard.press("Tab")
        if name in await page.evaluate(
            "() => document.activeElement.labels?.[0]?.innerText ?? document.activeElement.innerText"
        ):
            return
    pytest.fail(f"no Tab leads to {name!r}")


async def choose(page: Page, name: str) -> None:
    await reach(page, name)
    await page.keyboard.press("Enter")


async def sign_in_by_keyboard(page: Page, site: Site) -> None:
    await page.goto(f"{site.url}/sign-in?next=/mimi/")
    await reach(page, "Account")
    await page.keyboard.type("anna")
    await reach(page, "Password")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{site.url}/mimi/")


async def take_test_by_keyboard(page: Page) -> None:
    """Press the space bar for each tone that is heard."""
    clock = Clock(page)
    await expect(page.get_by_role("button", name="Begin the test")).to_be_visible()
    reply = await asked(page, "begin", lambda: choose(page, "Begin the test"))
    while "tone" in reply:
        tone = reply["tone"]
        heard = HEARING.hears(Presentation(ear=Ear(tone["ear"]), frequency=tone["frequency"], level=tone["level"]))
        await clock.let_pass(SILENCE)
        await clock.is_waiting(TONE_AND_WINDOW)
        reply = await asked(
            page, "answer", (lambda: page.keyboard.press("Space")) if heard else lambda: clock.let_pass(TONE_AND_WINDOW)
        )


async def asked(page: Page, what: str, act: Callable[[], Any]) -> Any:
    """Do something, and return what the page was answered to the request that it made; nothing once it has left."""
    async with page.expect_response(f"**/mimi/test/{what}") as response:
        await act()
    try:
        return await (await response.value).json()
    except Error:  # the answer is gone with the page: that was the last one
        return {}


async def numbers(page: Page) -> list[list[float]]:
    rows: list[list[float]] = await page.evaluate(
        """() => [...document.querySelectorAll("tbody tr")].map(
             (row) => [...row.cells].map((cell) => parseFloat(cell.innerText)))"""
    )
    return rows


async def sees(page: Page, title: str) -> None:
    await expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()


async def test_a_person_goes_the_whole_way_by_keyboard(
    new_page: NewPage, sites: dict[str, Site], server: IdentityServer, complaints: Complaints
) -> None:
    complaints.expect("the server responded with a status of 503", "net::ERR_CONNECTION_REFUSED")
    player = await new_page(locale="en")
    await player.clock.install(time=0)
    await player.clock.pause_at(1)
    await player.add_init_script(SPY)

    await sign_in_by_keyboard(player, sites["player"])
    await sees(player, NEW)
    await choose(player, "To the hearing test")
    await take_test_by_keyboard(player)
    await sees(player, "Result of your hearing test")
    await expect(player.get_by_role("img", name="Audiogram")).to_be_visible()
    measured = await numbers(player)
    assert measured == [[hz, HEARING.right[hz], HEARING.left[hz]] for hz in sorted(HEARING.right)]
    assert server.users == 1

    tv = await player.context.new_page()
    await sign_in_by_keyboard(tv, sites["tv"])
    await sees(tv, "Your hearing profile")
    await choose(tv, "See the whole result")
    await sees(tv, "Result of your hearing test")
    assert await numbers(tv) == measured

    await server.stop()
    for page in (player, tv):
        await page.reload()
        await sees(page, CLOSED)
    await server.start()
    for page in (player, tv):
        await page.clock.run_for(6000)
        await sees(page, "Result of your hearing test")

    await choose(tv, "Back to the profile")
    await sees(tv, "Your hearing profile")
    await choose(tv, "Erase this profile")
    await sees(tv, "Erase this profile?")
    await reach(tv, "I am sure")
    await tv.keyboard.press("Space")
    await choose(tv, "Erase my profile")
    await sees(tv, "Your profile was erased")
    assert server.users == 0
    await player.reload()
    await sees(player, NEW)
    await choose(player, "Use my year of birth")
    await sees(player, "When were you born?")
    await reach(player, "Year of birth")
    await player.keyboard.type("1970")
    await player.keyboard.press("Enter")
    await sees(player, "Your hearing profile")
    await choose(tv, "Set up a new profile")
    await sees(tv, "Your hearing profile")
    assert server.users == 1


async def test_the_browser_holds_the_session_of_the_partner_and_nothing_else(
    page: Page, sites: dict[str, Site]
) -> None:
    await sign_in_by_keyboard(page, sites["player"])
    await page.goto(f"{sites['player'].url}/mimi/test")
    await page.get_by_role("button", name="Begin the test").click()
    await page.locator("[data-step=run]").wait_for()
    await page.wait_for_function("() => 'mimi-hearing-test' in sessionStorage")
    await page.locator("[data-do=stop]").click()
    assert [cookie.get("name") for cookie in await page.context.cookies()] == ["player-session"]
    assert await page.evaluate("() => Object.keys(localStorage)") == []
    assert await page.evaluate("() => Object.keys(sessionStorage)") == ["mimi-hearing-test"]


async def test_a_session_that_ends_in_the_middle_of_a_test_goes_on_after_the_sign_in(
    page: Page, sites: dict[str, Site], complaints: Complaints
) -> None:
    complaints.expect("the server responded with a status of 401")
    site = sites["player"]
    await sign_in_by_keyboard(page, site)
    await page.goto(f"{site.url}/mimi/test")
    await page.get_by_role("button", name="Begin the test").click()
    await page.wait_for_function("() => 'mimi-hearing-test' in sessionStorage")
    await page.get_by_role("button", name="Stop").click()
    state = await page.evaluate("() => sessionStorage['mimi-hearing-test']")
    await page.context.clear_cookies()
    await page.get_by_role("button", name="Go on with your test").click()
    await expect(page.get_by_role("heading", name="Please sign in")).to_be_focused()
    async with page.context.expect_page() as opened:
        await page.get_by_role("link", name="Sign in, in a new tab").click()
    tab = await opened.value
    await tab.wait_for_url(f"{site.url}/sign-in?next=/mimi/test")
    await tab.get_by_label("Account").fill("anna")
    await tab.get_by_label("Password").fill(PASSWORD)
    await tab.get_by_label("Password").press("Enter")
    await tab.wait_for_url(f"{site.url}/mimi/test")
    await page.get_by_role("button", name="Try again").click()
    await page.locator("[data-step=run]").wait_for()
    assert await page.evaluate("() => sessionStorage['mimi-hearing-test']") == state
