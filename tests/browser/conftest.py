"""One browser for all tests of this folder, a context of its own for each page.

Browser and tests share the event loop of the session: each test and each async fixture of the folder runs in it. A
test that wants a page asks for `page`, or for `new_page(**options)` with the options of a Playwright context.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from .complaints import Complaints
from .harness import Site, serve
from .listener import SPY, Listener

PATIENCE = 30_000
"""How long a page may take over anything, in milliseconds: the machine may be busy with all the other tests."""

FLAGS = (
    "--no-sandbox",  # a container's root has no other way
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class NewPage(Protocol):
    """Open a page in a context of its own, which the fixture closes."""

    async def __call__(self, **context_options: Any) -> Page: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of this folder in the loop of the session."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and isinstance(item, pytest.Function):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


def without_chromium() -> NoReturn:
    remedy = "these tests drive Chromium, which is not on the PATH. On Debian: apt-get install chromium"
    if os.environ.get("CI"):
        pytest.fail(remedy)
    pytest.skip(remedy)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    executable = shutil.which("chromium") or without_chromium()
    expect.set_options(timeout=PATIENCE)
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield started
        await started.close()


@pytest.fixture
def complaints() -> Complaints:
    """What the pages of this test complain of: `new_page` asserts that all of it was expected."""
    return Complaints()


@asynccontextmanager
async def opening(browser: Browser, complaints: Complaints) -> AsyncIterator[NewPage]:
    """Hand out pages until the end; then close them and assert that every complaint was expected."""
    async with AsyncExitStack() as contexts:

        async def open_page(**context_options: Any) -> Page:
            context = await contexts.enter_async_context(await browser.new_context(**context_options))
            context.set_default_timeout(PATIENCE)
            complaints.listen_to(context)
            return await context.new_page()

        yield open_page
    assert complaints.unexpected == []


@pytest_asyncio.fixture(loop_scope="session")
async def new_page(browser: Browser, complaints: Complaints) -> AsyncIterator[NewPage]:
    async with opening(browser, complaints) as open_page:
        yield open_page


@pytest_asyncio.fixture(loop_scope="session")
async def page(new_page: NewPage) -> Page:
    return await new_page()


@pytest_asyncio.fixture(loop_scope="session")
async def site() -> AsyncIterator[Site]:
    """The scripted server of the hearing test. A fixture that opens pages of a server asks for the server first."""
    async with serve() as site:
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def listener(site: Site, page: Page) -> Listener:
    await page.clock.install(time=0)
    await page.clock.pause_at(1)
    await page.add_init_script(SPY)
    return Listener(page, site)
