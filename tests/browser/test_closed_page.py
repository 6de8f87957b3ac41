"""The closed page asks again until the server is back."""

import pytest
from playwright.async_api import Response, expect

from .listener import Listener

pytestmark = pytest.mark.usefixtures("expect_error_statuses")


def is_reply_to_fetch(response: Response) -> bool:
    """Return whether a response is that of the script: the page, its script and its icon may still be loading."""
    return response.request.resource_type == "fetch"


async def ask_once(listener: Listener) -> None:
    """Let the page ask once, and wait for the reply."""
    async with listener.page.expect_event("response", is_reply_to_fetch):
        await listener.page.clock.run_for(5000)


async def test_it_asks_every_few_seconds_until_the_server_is_back(listener: Listener) -> None:
    await listener.open("/closed")
    for number in (2, 3):
        await ask_once(listener)
        assert listener.site.closed_requests == number
    await expect(listener.page.get_by_role("heading")).to_have_text("Closed")
    listener.site.is_open = True
    await ask_once(listener)
    await expect(listener.page.get_by_role("heading")).to_have_text("Open")


async def test_no_network_is_no_answer(listener: Listener) -> None:
    await listener.open("/closed")
    await listener.page.context.set_offline(True)
    async with listener.page.expect_event("requestfailed"):
        await listener.page.clock.run_for(5000)
    await listener.page.context.set_offline(False)
    await listener.read_replies()
    listener.site.is_open = True
    await ask_once(listener)
    await expect(listener.page.get_by_role("heading")).to_have_text("Open")


@pytest.mark.parametrize("status", [502, 504])
async def test_a_gateway_whose_server_is_down_is_not_taken_for_the_page(listener: Listener, status: int) -> None:
    await listener.open("/closed")
    await listener.page.route("**/closed", lambda route: route.fulfill(status=status, body="Bad Gateway"))
    await ask_once(listener)
    await ask_once(listener)
    await expect(listener.page.get_by_role("heading")).to_have_text("Closed")


async def test_a_redirect_is_an_answer_wherever_it_leads(listener: Listener) -> None:
    await listener.open("/closed")
    listener.site.moved = True
    await ask_once(listener)
    await listener.page.wait_for_url("http://localhost:*/sign-in")


async def test_it_does_not_ask_while_the_page_is_hidden(listener: Listener) -> None:
    await listener.open("/closed")
    await listener.hide()
    await listener.page.clock.run_for(60_000)
    await listener.hide(False)
    await ask_once(listener)
    assert listener.site.closed_requests == 2


async def test_it_never_asks_twice_at_once(listener: Listener) -> None:
    await listener.open("/closed")
    listener.site.hold()
    async with listener.page.expect_event("response", is_reply_to_fetch):
        await listener.page.clock.run_for(30_000)
        listener.site.release()
    assert listener.site.closed_requests == 2
