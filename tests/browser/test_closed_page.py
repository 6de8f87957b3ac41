"""The closed page opens by itself, as soon as the server does."""

import pytest
from playwright.async_api import Response, expect

from .complaints import Complaints
from .listener import Listener


@pytest.fixture(autouse=True)
def _known(complaints: Complaints) -> None:
    complaints.expect("Failed to load resource")  # Chromium logs an error for each answer of 4xx and 5xx


def is_answer(response: Response) -> bool:
    """Tell whether it is what the script asked for: the page, its script and its icon may still be on their way."""
    return response.request.resource_type == "fetch"


async def turn_the_clock(listener: Listener) -> None:
    """Let the page ask once, and get its answer."""
    async with listener.page.expect_event("response", is_answer):
        await listener.page.clock.run_for(5000)


async def test_it_asks_every_few_seconds_until_the_server_is_back(listener: Listener) -> None:
    await listener.visit("/closed")
    for visits in (2, 3):
        await turn_the_clock(listener)
        assert listener.site.visits == visits
    await expect(listener.page.get_by_role("heading")).to_have_text("Closed")
    listener.site.is_open = True
    await turn_the_clock(listener)
    await expect(listener.page.get_by_role("heading")).to_have_text("Open")


async def test_no_network_is_no_answer(listener: Listener) -> None:
    await listener.visit("/closed")
    await listener.page.context.set_offline(True)
    async with listener.page.expect_event("requestfailed"):
        await listener.page.clock.run_for(5000)
    await listener.page.context.set_offline(False)
    listener.site.is_open = True
    await turn_the_clock(listener)
    await expect(listener.page.get_by_role("heading")).to_have_text("Open")


@pytest.mark.parametrize("status", [502, 504])
async def test_a_gateway_whose_server_is_down_is_not_taken_for_the_page(listener: Listener, status: int) -> None:
    await listener.visit("/closed")
    await listener.page.route("**/closed", lambda route: route.fulfill(status=status, body="Bad Gateway"))
    await turn_the_clock(listener)
    await turn_the_clock(listener)
    await expect(listener.page.get_by_role("heading")).to_have_text("Closed")


async def test_a_redirect_is_an_answer_wherever_it_leads(listener: Listener) -> None:
    await listener.visit("/closed")
    listener.site.moved = True
    await turn_the_clock(listener)
    await listener.page.wait_for_url("http://localhost:*/sign-in")


async def test_it_does_not_ask_while_the_page_is_hidden(listener: Listener) -> None:
    await listener.visit("/closed")
    await listener.hide()
    await listener.page.clock.run_for(60_000)
    await listener.hide(False)
    await turn_the_clock(listener)
    assert listener.site.visits == 2


async def test_it_never_asks_twice_at_once(listener: Listener) -> None:
    await listener.visit("/closed")
    listener.site.hold()
    async with listener.page.expect_event("response", is_answer):
        await listener.page.clock.run_for(30_000)
        listener.site.release()
    assert listener.site.visits == 2
