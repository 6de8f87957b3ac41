"""The dispatch of a request: a page runs signed in and behind the gate; an error page is shown while it is shut."""

import ast
import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import mimi_async.web
from mimi_async import AnonymousId
from mimi_async.testing import IdentityServer

from ..doubles import an_id
from .sites import PAGES, SHORT_TIMEOUT, Person, Product

YEAR = {"year_of_birth": "1980", "sex": ""}
PACKAGE = Path(mimi_async.web.__file__).parent


def test_only_the_dispatcher_calls_the_core() -> None:
    imports, uses = set(), set()
    for module in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "core":
                imports.add(module.stem)
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("core"):
                uses.add((module.stem, ast.unparse(node)))
    assert imports == {"dispatch", "application"}  # which passes it on
    assert uses == {("dispatch", "self.core.present")}


async def test_no_page_runs_before_the_account_is_restored(
    server: IdentityServer, stack: AsyncExitStack, anna: Person
) -> None:
    await anna.post("year-of-birth", **YEAR)
    product = await stack.enter_async_context(Product(server, anna.product.ids).mount())
    person = await stack.enter_async_context(product.open_browser())
    held = await stack.enter_async_context(server.hold("/v1/sessions"))
    pages = [asyncio.create_task(person.get(page)) for page in PAGES]
    await stack.enter_async_context(product.core)
    await held.arrived.wait()
    assert not any(page.done() for page in pages)
    held.release()
    assert {page.status for page in await asyncio.gather(*pages)} == {200, 303}


async def test_a_page_that_waits_too_long_at_the_gate_says_so_and_runs_later(
    server: IdentityServer, stack: AsyncExitStack
) -> None:
    product = await stack.enter_async_context(Product(server, settings=SHORT_TIMEOUT).mount())
    person = await stack.enter_async_context(product.open_browser())
    page = await person.get()  # the core has not been entered
    assert page.status == 503
    assert "can’t be reached just now" in page.document.words
    await stack.enter_async_context(product.core)
    assert (await person.get()).status == 200


@pytest.mark.parametrize("settings", [SHORT_TIMEOUT])
async def test_a_server_that_hangs_keeps_no_browser_waiting(
    server: IdentityServer, stack: AsyncExitStack, anna: Person
) -> None:
    await anna.post("year-of-birth", **YEAR)
    held = await stack.enter_async_context(server.hold("/v1/user"))
    assert (await anna.get()).status == 503
    held.release()
    while (await anna.get()).status != 200:  # a busy machine may need more than the time limit
        pass


@pytest.mark.parametrize("settings", [SHORT_TIMEOUT])
async def test_a_change_that_takes_its_time_is_not_cut_off(
    server: IdentityServer, stack: AsyncExitStack, anna: Person
) -> None:
    held = await stack.enter_async_context(server.hold("/v1/anonymous-users"))
    page = asyncio.create_task(anna.post("year-of-birth", **YEAR))
    await held.arrived.wait()
    await asyncio.sleep(0.3)  # longer than the time limit
    held.release()
    assert (await page).status == 303
    assert server.users == 1


async def test_a_core_that_was_left_shuts_the_pages(server: IdentityServer, stack: AsyncExitStack) -> None:
    product = await stack.enter_async_context(Product(server).mount())
    person = await stack.enter_async_context(product.open_browser())
    async with product.core:
        assert (await person.get()).status == 200
    page = await person.get()
    assert (page.status, page.headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("page", PAGES)
async def test_while_the_server_is_down_pages_are_closed_and_come_back(
    page: str, anna: Person, server: IdentityServer
) -> None:
    await anna.post("year-of-birth", **YEAR)
    before = await anna.get(page)
    await server.stop()
    closed = await anna.get(page)
    assert (closed.status, closed.headers["Retry-After"]) == (503, "5")
    assert "It is safe, and nothing was lost" in closed.document.words
    assert {"data-retry-seconds": "5", "id": "closed"}.items() <= closed.document.of("section")[0].items()
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in closed.text
    await server.start()
    assert (await anna.get(page)).status == before.status


async def test_a_store_or_account_service_that_fails_is_a_closed_page_and_never_an_introduction(
    server: IdentityServer, stack: AsyncExitStack
) -> None:
    class Unknowing(Product):
        async def known_id(self, account: str) -> AnonymousId | None:
            raise OSError

    person = await stack.enter_async_context(Unknowing(server).serve_person())
    assert (await person.get()).status == 503
    assert (await person.post("year-of-birth", **YEAR)).status == 503
    assert server.users == 0


async def test_a_page_that_fails_quotes_nothing(
    server: IdentityServer, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Product):
        async def account_of(self, request: web.Request) -> str | None:
            msg = "a secret"
            raise RuntimeError(msg)

    person = await stack.enter_async_context(Failing(server).serve_person())
    answer = await person.get()
    assert answer.status == 500
    assert "Something went wrong" in answer.document.words
    assert "a secret" not in answer.text + caplog.text
    assert "RuntimeError in account_of" in caplog.text


@pytest.mark.parametrize(
    ("fault", "level", "text"),
    [
        ({"problem": "credentials-rejected"}, "ERROR", "the server rejected the client credentials (credentials-rej"),
        ({"problem": "unserviceable"}, "ERROR", "the server no longer supports this version of mimi_async: update it"),
        ({}, "INFO", "ServerBusyError"),
    ],
)
async def test_an_error_that_the_host_must_repair_is_logged_with_its_remedy_and_another_with_its_cause(
    fault: Any, level: str, text: str, product: Product, anna: Person, server: IdentityServer,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level("INFO")
    product.ids["anna"] = an_id(1)
    server.fail(**fault, times=None)
    page = await anna.get()
    assert page.status == 503
    assert "is safe" in page.document.words
    (line,) = [record for record in caplog.records if record.name == "mimi_async.web.dispatch"]
    assert line.levelname == level
    assert text in line.getMessage()
    assert product.ids["anna"].reveal() not in caplog.text


@pytest.mark.parametrize(("sent", "shown"), [("31", "31"), ("90000", "120")])
async def test_a_server_that_names_a_time_is_asked_again_then(
    sent: str, shown: str, anna: Person, server: IdentityServer
) -> None:
    await anna.post("year-of-birth", **YEAR)
    server.fail(times=None, headers={"Retry-After": sent}, status=429)
    closed = await anna.get()
    assert closed.status == 503
    assert closed.headers["Retry-After"] == shown
