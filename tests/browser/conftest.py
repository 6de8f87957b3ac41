"""One browser for all tests of this folder, and a new page for each test.

Browser and tests share the event loop of the session: each test and each async fixture of the folder runs in it. A
test requests `page`, or `new_page` to open pages with the options of a Playwright context.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from mimi_async.testing import IdentityServer

from ..programs import require_program
from .console import ConsoleErrors
from .harness import Site, serve
from .listener import Listener, freeze_clock

TIMEOUT = 30_000
"""Milliseconds for any action of a page: the other tests may keep the machine busy."""

FLAGS = (
    "--no-sandbox",  # a container's root has no other way
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class GetContext(Protocol):
    """Return the context of the options of Playwright; `frozen`: its clock stands still, and its pages run `SPY`."""

    async def __call__(self, *, frozen: bool = False, **options: Any) -> BrowserContext: ...


class NewPage(Protocol):
    """Open a page in the context of these options."""

    async def __call__(self, *, frozen: bool = False, **options: Any) -> Page: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of this folder in the event loop of the session."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and isinstance(item, pytest.Function):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    # Chromium without windows: the pages and their times are the same, and the tests take half the time.
    executable = require_program("chromium-headless-shell", "chromium-headless-shell", or_program="chromium")
    expect.set_options(timeout=TIMEOUT)
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield started
        await started.close()


@pytest.fixture
def console_errors() -> ConsoleErrors:
    """The console errors of the pages of this test: `new_page` asserts that all were expected."""
    return ConsoleErrors()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def get_context(browser: Browser) -> GetContext:
    """Return the context of some options: tests share it, which takes half the time of a new one."""
    contexts: dict[str, BrowserContext] = {}

    async def get(*, frozen: bool = False, **options: Any) -> BrowserContext:
        key = repr((frozen, sorted(options.items())))
        if key not in contexts:
            contexts[key] = context = await browser.new_context(**options)
            context.set_default_timeout(TIMEOUT)
            if frozen:
                await freeze_clock(context)
        return contexts[key]

    return get


@pytest_asyncio.fixture(loop_scope="session")
async def new_page(get_context: GetContext, console_errors: ConsoleErrors) -> AsyncIterator[NewPage]:
    """Open pages. After the test close them, delete their cookies, and assert that each console error was expected."""
    used: set[BrowserContext] = set()

    async def open_page(*, frozen: bool = False, **options: Any) -> Page:
        context = await get_context(frozen=frozen, **options)
        if context not in used:
            used.add(context)
            console_errors.listen_to(context)
        return await context.new_page()

    yield open_page
    for context in used:
        for page in context.pages:
            await page.close()
        console_errors.leave(context)
        await context.clear_cookies()
        await context.set_offline(False)
    assert console_errors.unexpected == []


@pytest_asyncio.fixture(loop_scope="session")
async def page(new_page: NewPage) -> Page:
    return await new_page()


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[IdentityServer]:
    """An identity server of the test, whose users it may count."""
    async with IdentityServer() as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _session_server() -> AsyncIterator[IdentityServer]:
    async with IdentityServer() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def shared_server(_session_server: IdentityServer) -> AsyncIterator[IdentityServer]:
    """An identity server that tests share which count no users. A test may stop it, and plan faults."""
    yield _session_server
    _session_server.clear_faults()
    await _session_server.stop()
    await _session_server.start()


@pytest.fixture
def expect_error_statuses(console_errors: ConsoleErrors) -> None:
    """Expect the error that Chromium logs for each status of 4xx and 5xx."""
    console_errors.expect("Failed to load resource")


@pytest_asyncio.fixture(loop_scope="session")
async def site() -> AsyncIterator[Site]:
    """The scripted server of the hearing test. A fixture that opens its pages requests this fixture first."""
    async with serve() as site:
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def listener(site: Site, new_page: NewPage) -> Listener:
    return Listener(await new_page(frozen=True), site)
