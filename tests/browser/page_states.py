"""Every page in every state that a person may meet, and how to get there."""

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
from playwright.async_api import Page

from mimi_async import HearingTestResult
from mimi_async.testing import IdentityServer

from ..doubles import an_id
from ..web.sites import Person, Product

DEAF = {250: 200.0, 500: 200.0, 1000: 200.0, 2000: 200.0, 4000: 200.0, 8000: 200.0}
GOOD = {250: -10.0, 500: -10.0, 1000: -5.0, 2000: 0.0, 4000: 10.0, 8000: 15.0}
LOUD = {250: 60.0, 500: 65.0, 1000: 75.0, 2000: 80.0, 4000: 80.0, 8000: 80.0}
LOSS = {250: 10.0, 500: 10.0, 1000: 15.0, 2000: 30.0, 4000: 50.0, 8000: 60.0}


@attrs.define(eq=False)
class Scene:
    """A product with its server, and a person with two sessions: of a script, and of Chromium.

    Attributes:
        page: A page of Chromium.
        person: The same person by script, to get there fast.
    """

    server: IdentityServer
    product: Product
    person: Person
    page: Page

    async def open(self, path: str = "") -> None:
        await self.page.goto(f"{self.product.url}/mimi/{path}")

    async def click(self, name: str) -> None:
        """Click a button or a link of the main part by a part of its selector; wait for the page it leads to."""
        await self.page.locator(f"main {name}").first.click()
        await self.page.wait_for_load_state()

    async def onboard(self, year: str = "1970") -> None:
        await self.person.post("year-of-birth", year_of_birth=year, sex="female")

    async def keep(
        self,
        left: dict[int, float],
        right: dict[int, float],
        *,
        days_ago: int = 0,
        taken_at: dt.datetime | None = None,
    ) -> None:
        """Keep a hearing test of some days ago, or of a given time."""
        auth = await self.product.core.auth_for("anna")
        taken_at = taken_at or dt.datetime.now(dt.UTC) - dt.timedelta(days=days_ago)
        await auth.submit_hearing_test(HearingTestResult(taken_at=taken_at, calibrated=False, left=left, right=right))

    async def begin(self) -> None:
        await self.open("test")
        await self.click("[data-do=begin]")
        await self.page.locator("[data-step=run]").wait_for()
        await self.page.wait_for_function("() => 'mimi-hearing-test' in sessionStorage")


@asynccontextmanager
async def open_scene(server: IdentityServer, page: Page, **settings: Any) -> AsyncIterator[Scene]:
    product = Product(server)
    product.settings |= {"start_over": product.core.start_over, "home": "/", **settings}
    async with product.run(), product.open_browser("anna") as person:
        await page.context.add_cookies([{"name": "session", "value": person.session, "url": product.url}])
        yield Scene(server, product, person, page)
        await page.close()  # while the product runs: what the page still loads must not fail


async def introduction(scene: Scene) -> None:
    await scene.open()


async def introduction_with_data(scene: Scene) -> None:
    await scene.person.send("test/begin", {})
    await scene.open()


async def onboarding(scene: Scene) -> None:
    await scene.open("year-of-birth")


async def onboarding_too_young(scene: Scene) -> None:
    await scene.open("year-of-birth")
    await scene.page.fill("#year_of_birth", "2020")
    await scene.click("button")


async def hearing_test(scene: Scene) -> None:
    await scene.open("test")


async def hearing_test_running(scene: Scene) -> None:
    await scene.begin()


async def hearing_test_paused(scene: Scene) -> None:
    await scene.begin()
    await scene.click("[data-do=stop]")


async def hearing_test_error(scene: Scene) -> None:
    await scene.open("test")
    scene.product.accounts.clear()
    await scene.click("[data-do=begin]")
    await scene.page.locator("[data-step=error]").wait_for()


async def hearing_test_unheard(scene: Scene) -> None:
    await scene.begin()
    last = await scene.person.before_the_end(DEAF)
    await scene.click("[data-do=stop]")
    ended = f"{last['state']}{last['heard']:d}"  # the page would play the last tone in real time
    await scene.page.evaluate("(state) => { sessionStorage['mimi-hearing-test'] = state; }", ended)
    await scene.click("[data-step=paused] [data-do=resume]")
    await scene.page.locator("[data-step=error]").wait_for()


async def profile_estimated(scene: Scene) -> None:
    await scene.onboard("1940")
    await scene.open()


async def profile_measured(scene: Scene) -> None:
    await scene.onboard()
    await scene.person.take_test(LOSS)
    await scene.open()


async def results(scene: Scene) -> None:
    await scene.onboard()
    await scene.person.take_test(LOSS)
    await scene.open("results")


async def results_at_the_limits(scene: Scene) -> None:
    await scene.onboard("1940")
    for days_ago in (300, 120, 0):
        await scene.keep(GOOD, LOUD, days_ago=days_ago)
    await scene.open("results")


async def deleting_a_test(scene: Scene) -> None:
    await results(scene)
    await scene.click("a.danger")


async def edit(scene: Scene) -> None:
    await scene.onboard()
    await scene.open("edit")


async def edit_conflict(scene: Scene) -> None:
    await edit(scene)
    other = (await scene.person.get("edit")).document
    await scene.person.submit(other, year_of_birth="1981")
    await scene.page.fill("#year_of_birth", "1982")
    await scene.click("button")


async def reset(scene: Scene) -> None:
    await scene.onboard()
    await scene.open("reset")


async def reset_unsure(scene: Scene) -> None:
    await reset(scene)
    await scene.click("button")


async def erased(scene: Scene) -> None:
    await reset(scene)
    await scene.page.check("#sure")
    await scene.click("button")


async def launcher_new(scene: Scene) -> None:
    await scene.open("launcher")


async def launcher_known(scene: Scene) -> None:
    await scene.onboard()
    await scene.open("launcher")


async def closed(scene: Scene) -> None:
    await scene.onboard()
    await scene.server.stop()
    await scene.open()


async def closed_form(scene: Scene) -> None:
    await scene.open("year-of-birth")
    await scene.server.stop()
    await scene.page.fill("#year_of_birth", "1980")
    await scene.click("button")
    await scene.page.locator("main.unseen, .error").first.wait_for()


async def rejected(scene: Scene) -> None:
    scene.product.ids["anna"] = an_id(1)
    await scene.open()


async def signed_out(scene: Scene) -> None:
    scene.product.accounts.clear()
    await scene.open()


async def signed_out_form(scene: Scene) -> None:
    await scene.open("year-of-birth")
    scene.product.accounts.clear()
    await scene.page.fill("#year_of_birth", "1980")
    await scene.click("button")


async def another_profile(scene: Scene) -> None:
    await edit(scene)
    await scene.person.submit_to("reset", (await scene.person.get("reset")).document, sure="yes")
    await scene.click("button")


async def no_page(scene: Scene) -> None:
    await scene.open("nowhere")


PAGE_STATES: dict[str, Callable[[Scene], Awaitable[None]]] = {
    each.__name__: each
    for each in (
        introduction, introduction_with_data, onboarding, onboarding_too_young, hearing_test, hearing_test_running,
        hearing_test_paused, hearing_test_error, hearing_test_unheard, profile_estimated, profile_measured,
        results, results_at_the_limits, deleting_a_test, edit, edit_conflict, reset, reset_unsure, erased,
        launcher_new, launcher_known,
        closed, closed_form, rejected, signed_out, signed_out_form, another_profile, no_page,
    )
}  # fmt: skip
"""Name → how to get there."""
