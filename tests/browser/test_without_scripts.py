"""The pages in a browser without JavaScript, and its own buttons: going back, loading again.

`make proof` repeats each test with JavaScript, which only the pages of the hearing test and the closed page use.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from mimi_async.testing import IdentityServer

from ..conftest import rounds
from .conftest import NewPage
from .console import ConsoleErrors
from .page_states import Scene, open_scene


@pytest_asyncio.fixture(loop_scope="session", params=[False, True][: rounds(1, 2)])
async def scene(request: pytest.FixtureRequest, new_page: NewPage, server: IdentityServer) -> AsyncIterator[Scene]:
    page = await new_page(java_script_enabled=request.param, locale="en")
    async with open_scene(server, page) as scene:
        yield scene


async def expect_title(page: Page, title: str) -> None:
    await expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()


async def onboard(page: Page) -> None:
    await page.get_by_role("link", name="Use my year of birth").click()
    await page.get_by_label("Year of birth").fill("1970")
    await page.get_by_role("button", name="Set up my profile").click()
    await expect_title(page, "Your hearing profile")


async def test_a_person_onboards_edits_exports_and_resets(scene: Scene) -> None:
    page = scene.page
    await scene.open()
    await onboard(page)
    await page.get_by_role("link", name="Change").click()
    await page.get_by_label("Year of birth").fill("1971")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("1971")).to_be_visible()
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download everything").click()
    assert (await download.value).suggested_filename == "hearing-profile.json"
    await page.get_by_role("link", name="Erase this profile").click()
    await page.get_by_label("I am sure").check()
    await page.get_by_role("button", name="Erase my profile").click()
    await expect_title(page, "Your profile was erased")
    await page.reload()
    await expect_title(page, "Your profile was erased")
    assert scene.server.users == 0


async def test_the_back_button_shows_what_is_true_now_and_sends_nothing_again(scene: Scene) -> None:
    page = scene.page
    await scene.open()
    await onboard(page)
    await page.go_back()
    await expect_title(page, "Your hearing profile")  # the form of the onboarding leads on to the profile
    await page.reload()
    await expect_title(page, "Your hearing profile")
    await page.get_by_role("link", name="Erase this profile").click()
    await page.get_by_label("I am sure").check()
    await page.get_by_role("button", name="Erase my profile").click()
    await expect_title(page, "Your profile was erased")
    await page.go_back()
    await expect_title(page, "Make sound fit your hearing")
    assert scene.server.users == 0


async def test_a_closed_page_opens_by_itself(scene: Scene, console_errors: ConsoleErrors) -> None:
    console_errors.expect("the server responded with a status of 503")
    await scene.person.post("year-of-birth", year_of_birth="1970", sex="")
    scene.server.fail("/v1/user", headers={"Retry-After": "1"}, times=None)
    await scene.open()
    await expect_title(scene.page, "Your hearing profile can’t be reached just now")
    scene.server.clear_faults()
    await expect(scene.page.get_by_role("heading", level=1, name="Your hearing profile", exact=True)).to_be_visible()


async def test_the_hearing_test_offers_the_year_of_birth_without_scripts(
    new_page: NewPage, server: IdentityServer
) -> None:
    page = await new_page(java_script_enabled=False, locale="en")
    async with open_scene(server, page) as scene:
        await scene.open("test")
        await expect(page.locator("#hearing-test")).to_be_hidden()
        await page.get_by_role("link", name="Use my year of birth").click()
        await expect_title(page, "When were you born?")
