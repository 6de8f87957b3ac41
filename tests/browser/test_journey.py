"""The whole way of a person: sign in, onboard, take the test, find it on the second product, reset it there."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Error, Page, expect

from mimi_async.hearing.staircase import Ear, Presentation, Staircase
from mimi_async.testing import IdentityServer

from ..conftest import rounds
from ..examples.sites import PASSWORD, Site, product_of, running
from ..hearing.listeners import Listener as Hearing
from .conftest import NewPage
from .console import ConsoleErrors
from .listener import SILENCE, TONE_AND_WINDOW, Clock

HEARING = Hearing(
    right={250: 10, 500: 10, 1000: 15, 2000: 25, 4000: 45, 8000: 60},
    left={250: 5, 500: 5, 1000: 10, 2000: 20, 4000: 30, 8000: 40},
)
CLOSED = "Your hearing profile can’t be reached just now"
NEW = "Make sound fit your hearing"

FOCUSED = "() => document.activeElement.labels?.[0]?.innerText ?? document.activeElement.innerText"
"""The name of what has the focus."""

TONES = rounds(3, 1000)
"""The number of tones that a person answers by keyboard, and then the last one; a script answers those between."""


@pytest_asyncio.fixture(loop_scope="session")
async def sites(server: IdentityServer, tmp_path: Path) -> AsyncIterator[dict[str, Site]]:
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(running(product_of(server, tmp_path, name)))
            for name in ("player", "tv")
        }


async def focus(page: Page, name: str) -> None:
    """Press Tab until the element of this name has the focus."""
    for _ in range(40):
        await page.keyboard.press("Tab")
        if name in await page.evaluate(FOCUSED):
            return
    pytest.fail(f"no Tab leads to {name!r}")


async def press_enter_on(page: Page, name: str) -> None:
    await focus(page, name)
    await page.keyboard.press("Enter")


async def sign_in_by_keyboard(page: Page, site: Site) -> None:
    await page.goto(f"{site.url}/sign-in?next=/mimi/")
    await focus(page, "Account")
    await page.keyboard.type("anna")
    await focus(page, "Password")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{site.url}/mimi/")


async def begin_by_keyboard(page: Page, button: str) -> Any:
    await expect(page.get_by_role("button", name=button)).to_be_visible()
    return await await_reply(page, "begin", lambda: press_enter_on(page, button))


async def take_test_by_keyboard(page: Page) -> None:
    """Press the space bar for each tone that is heard."""
    clock, tones = Clock(page), 0
    reply = await begin_by_keyboard(page, "Begin the test")
    while "tone" in reply:
        tones += 1
        if tones == TONES:
            await page.evaluate("(state) => { sessionStorage['mimi-hearing-test'] = state; }", skip(reply["state"]))
            await page.reload()
            reply = await begin_by_keyboard(page, "Go on with your test")
        tone = reply["tone"]
        heard = HEARING.hears(Presentation(ear=Ear(tone["ear"]), frequency=tone["frequency"], level=tone["level"]))
        await clock.let_pass(SILENCE)
        await clock.is_waiting(TONE_AND_WINDOW)
        reply = await await_reply(
            page, "answer", (lambda: page.keyboard.press("Space")) if heard else lambda: clock.let_pass(TONE_AND_WINDOW)
        )


async def await_reply(page: Page, what: str, act: Callable[[], Any]) -> Any:
    """Do something, and return what the page was answered to the request that it made; nothing once it has left."""
    async with page.expect_response(f"**/mimi/test/{what}") as response:
        await act()
    try:
        return await (await response.value).json()
    except Error:  # the answer is gone with the page: that was the last one
        return {}


def skip(state: str) -> str:
    """Return the state of this test before its last answer."""
    version, seed, binding, answers = state.split(".")
    staircase = Staircase.replay(bytes.fromhex(seed), [answer == "1" for answer in answers])
    while (tone := staircase.presentation) is not None:
        before, staircase = staircase, staircase.answer(heard=HEARING.hears(tone))
    return ".".join((version, seed, binding, "".join("01"[heard] for heard in before.answers)))


async def read_numbers(page: Page) -> list[list[float]]:
    rows: list[list[float]] = await page.evaluate(
        """() => [...document.querySelectorAll("tbody tr")].map(
             (row) => [...row.cells].map((cell) => parseFloat(cell.innerText)))"""
    )
    return rows


async def expect_title(page: Page, title: str) -> None:
    await expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()


async def test_a_person_goes_the_whole_way_by_keyboard(
    new_page: NewPage, sites: dict[str, Site], server: IdentityServer, console_errors: ConsoleErrors
) -> None:
    console_errors.expect("the server responded with a status of 503", "net::ERR_CONNECTION_REFUSED")
    player = await new_page(locale="en", frozen=True)
    await sign_in_by_keyboard(player, sites["player"])
    await expect_title(player, NEW)
    await press_enter_on(player, "To the hearing test")
    await take_test_by_keyboard(player)
    await expect_title(player, "Result of your hearing test")
    await expect(player.get_by_role("img", name="Audiogram")).to_be_visible()
    measured = await read_numbers(player)
    assert measured == [[hz, HEARING.right[hz], HEARING.left[hz]] for hz in sorted(HEARING.right)]
    assert server.users == 1

    tv = await player.context.new_page()
    await sign_in_by_keyboard(tv, sites["tv"])
    await expect_title(tv, "Your hearing profile")
    await press_enter_on(tv, "See the whole result")
    await expect_title(tv, "Result of your hearing test")
    assert await read_numbers(tv) == measured

    await server.stop()
    for page in (player, tv):
        await page.reload()
        await expect_title(page, CLOSED)
    await server.start()
    for page in (player, tv):
        await page.clock.run_for(6000)
        await expect_title(page, "Result of your hearing test")

    await press_enter_on(tv, "Back to the profile")
    await expect_title(tv, "Your hearing profile")
    await press_enter_on(tv, "Erase this profile")
    await expect_title(tv, "Erase this profile?")
    await focus(tv, "I am sure")
    await tv.keyboard.press("Space")
    await press_enter_on(tv, "Erase my profile")
    await expect_title(tv, "Your profile was erased")
    assert server.users == 0
    await player.reload()
    await expect_title(player, NEW)
    await press_enter_on(player, "Use my year of birth")
    await expect_title(player, "When were you born?")
    await focus(player, "Year of birth")
    await player.keyboard.type("1970")
    await player.keyboard.press("Enter")
    await expect_title(player, "Your hearing profile")
    await press_enter_on(tv, "Set up a new profile")
    await expect_title(tv, "Your hearing profile")
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
