"""What day and time a person sees: of the browser's own zone, or of the zone that the host names, or labelled UTC."""

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import expect

from mimi_async.testing import IdentityServer

from .conftest import NewPage
from .page_states import GOOD, LOSS, Scene, open_scene

HALF_PAST_MIDNIGHT = dt.datetime(2026, 5, 2, 0, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))
"""In Berlin; in UTC it is still the day before."""


async def tokyo(request: web.Request) -> dt.tzinfo:
    return dt.timezone(dt.timedelta(hours=9))


@asynccontextmanager
async def person_with_tests(
    shared_server: IdentityServer, new_page: NewPage, settings: dict[str, Any], **browser: Any
) -> AsyncIterator[Scene]:
    """A person who took two tests at that time."""
    page = await new_page(timezone_id="Europe/Berlin", **browser)
    async with open_scene(shared_server, page, **settings) as scene:
        await scene.onboard()
        for _ in range(2):
            await scene.keep(GOOD, LOSS, taken_at=HALF_PAST_MIDNIGHT)
        yield scene


async def assert_shown(scene: Scene, day: str, clock: str) -> None:
    """Assert that each time of each page shows this."""
    for page, count in (("", 1), ("launcher", 1), ("results", 2)):
        await scene.open(page)
        times = scene.page.locator("time")
        await expect(times).to_have_count(count)
        for time in await times.all():
            await expect(time).to_contain_text(day)
            await expect(time).to_contain_text(clock)
            assert "UTC" not in await time.inner_text()


@pytest.mark.parametrize(
    ("locale", "day", "clock"),
    [("en-GB", "2 May 2026", "00:30"), ("en-US", "May 2, 2026", "12:30"), ("de-DE", "2. Mai 2026", "00:30")],
)
async def test_a_time_is_of_the_zone_of_the_browser_and_in_the_language_of_the_page(
    locale: str, day: str, clock: str, shared_server: IdentityServer, new_page: NewPage
) -> None:
    async with person_with_tests(shared_server, new_page, {}, locale=locale) as scene:
        await assert_shown(scene, day, clock)


async def test_no_script_changes_a_time_of_the_zone_that_the_host_names(
    shared_server: IdentityServer, new_page: NewPage
) -> None:
    async with person_with_tests(shared_server, new_page, {"timezone": tokyo}, locale="en-GB") as scene:
        await assert_shown(scene, "2 May 2026", "07:30")
