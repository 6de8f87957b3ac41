"""The one way to a page: signed in, behind the gate; and what is said while it is shut."""

import ast
import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import mimi_async.web
from mimi_async import AnonymousId, AnonymousUserOnlyError, ConfigurationError, MimiCore, ProfileConfiguration
from mimi_async.stores import MemoryStore
from mimi_async.testing import IdentityServer
from mimi_async.web import mimi_pages

from ..doubles import an_id
from .sites import ANONYMOUS, PAGES, Person, Product

YEAR = {"year_of_birth": "1980", "sex": ""}
ROOM = Path(mimi_async.web.__file__).parent


def imports() -> Iterator[tuple[str, str]]:
    """Yield each module of the room, and each module or name that it imports."""
    for module in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ImportFrom):
                yield from ((module.stem, f"{node.module}.{alias.name}") for alias in node.names)


def test_only_the_door_knows_the_core() -> None:
    knowing = {module for module, name in imports() if name.startswith("core.")}
    assert knowing == {"door", "mount"}  # mount hands it on
    names = {module.stem: module.read_text().count("core.") for module in ROOM.glob("*.py")}
    used = {"door": "self.core.present(", "mount": "core.start_over(account)"}  # the latter in its docstring
    assert {name for name, count in names.items() if count} == {"__init__", *used} - {"__init__"}
    assert all(text in (ROOM / f"{name}.py").read_text() for name, text in used.items())


@pytest.mark.parametrize(
    "configuration",
    [ProfileConfiguration(), ProfileConfiguration(allows_anonymous_user_only=1), None],  # type: ignore[arg-type]  # truthy is not True
)
def test_pages_that_could_lead_to_a_named_user_are_refused(configuration: Any) -> None:
    async def account_of(request: web.Request) -> str | None:
        return None

    core = MimiCore(send=lambda _: asyncio.sleep(0, None), store=MemoryStore(), account=None)  # type: ignore[arg-type]  # never asked
    with pytest.raises(AnonymousUserOnlyError):
        mimi_pages(core, account_of=account_of, configuration=configuration)


def test_pages_without_a_core_or_without_accounts_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="account_of"):
        mimi_pages(None, account_of=None, configuration=ANONYMOUS)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), [("start_over", "yes"), ("theme", 7), ("sign_in", 5), ("home", b"/")])
def test_an_argument_of_another_kind_is_refused_at_once(name: str, value: Any) -> None:
    async def account_of(request: web.Request) -> str | None:
        return None

    core = MimiCore(send=lambda _: asyncio.sleep(0, None), store=MemoryStore(), account=None)  # type: ignore[arg-type]  # never asked
    with pytest.raises(ConfigurationError, match=name):
        mimi_pages(core, account_of=account_of, configuration=ANONYMOUS, **{name: value})


async def test_no_page_runs_before_the_account_is_restored(
    server: IdentityServer, stack: AsyncExitStack, anna: Person
) -> None:
    await anna.post("year-of-birth", **YEAR)
    product = await stack.enter_async_context(Product(server, anna.product.ids).mounted())
    person = await stack.enter_async_context(product.visited())
    held = await stack.enter_async_context(server.hold("/v1/sessions"))
    pages = [asyncio.create_task(person.get(page)) for page in PAGES]
    await stack.enter_async_context(product.core)
    await held.arrived.wait()
    assert not any(page.done() for page in pages)
    held.release()
    assert {page.status for page in await asyncio.gather(*pages)} == {200, 303}


@pytest.mark.usefixtures("impatient")
async def test_a_page_that_waits_too_long_at_the_gate_says_so_and_runs_later(
    server: IdentityServer, stack: AsyncExitStack
) -> None:
    product = await stack.enter_async_context(Product(server).mounted())
    person = await stack.enter_async_context(product.visited())
    page = await person.get()  # the core has not been entered
    assert page.status == 503
    assert "can’t be reached just now" in page.document.words
    await stack.enter_async_context(product.core)
    assert (await person.get()).status == 200


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_hangs_keeps_no_browser_waiting(
    server: IdentityServer, stack: AsyncExitStack, anna: Person
) -> None:
    await anna.post("year-of-birth", **YEAR)
    held = await stack.enter_async_context(server.hold("/v1/user"))
    assert (await anna.get()).status == 503
    held.release()
    assert (await anna.get()).status == 200


@pytest.mark.usefixtures("impatient")
async def test_a_change_that_takes_its_time_is_not_cut_off(
    server: IdentityServer, stack: AsyncExitStack, anna: Person
) -> None:
    held = await stack.enter_async_context(server.hold("/v1/anonymous-users"))
    page = asyncio.create_task(anna.post("year-of-birth", **YEAR))
    await held.arrived.wait()
    await asyncio.sleep(0.1)  # longer than the patience at the gate
    held.release()
    assert (await page).status == 303
    assert server.users == 1


async def test_a_core_that_was_left_shuts_the_pages(server: IdentityServer, stack: AsyncExitStack) -> None:
    product = await stack.enter_async_context(Product(server).mounted())
    person = await stack.enter_async_context(product.visited())
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


@pytest.mark.parametrize(("told", "said"), [("31", "31"), ("90000", "120")])
async def test_a_server_that_names_a_time_is_asked_again_then(
    told: str, said: str, anna: Person, server: IdentityServer
) -> None:
    await anna.post("year-of-birth", **YEAR)
    server.fail(times=None, headers={"Retry-After": told}, status=429)
    closed = await anna.get()
    assert closed.status == 503
    assert closed.headers["Retry-After"] == said


async def test_a_store_or_account_service_that_fails_is_a_closed_page_and_never_an_introduction(
    server: IdentityServer, stack: AsyncExitStack
) -> None:
    class Unknowing(Product):
        async def known_id(self, account: str) -> AnonymousId | None:
            raise OSError

    product = await stack.enter_async_context(Unknowing(server).running())
    person = await stack.enter_async_context(product.visited())
    assert (await person.get()).status == 503
    assert (await person.post("year-of-birth", **YEAR)).status == 503
    assert server.users == 0


@pytest.mark.parametrize("problem", ["credentials-rejected", "unserviceable"])
async def test_what_the_host_must_mend_is_said_without_a_promise(
    problem: str, server: IdentityServer, product: Product, anna: Person
) -> None:
    product.ids["anna"] = an_id(1)
    server.fail(problem=problem, times=None)
    page = await anna.get()
    assert page.status == 503
    assert "profile is safe" in page.document.words


async def test_a_page_that_fails_quotes_nothing(
    server: IdentityServer, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Product):
        async def account_of(self, request: web.Request) -> str | None:
            msg = "a secret"
            raise RuntimeError(msg)

    product = await stack.enter_async_context(Failing(server).running())
    person = await stack.enter_async_context(product.visited())
    answer = await person.get()
    assert answer.status == 500
    assert "Something went wrong" in answer.document.words
    assert "a secret" not in answer.text + caplog.text
    assert "RuntimeError in account_of" in caplog.text


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("credentials-rejected", "the server rejected the client credentials (credentials-rejected)"),
        ("unserviceable", "the server no longer supports this version of mimi_async: update it"),
    ],
)
async def test_what_the_host_must_mend_is_logged_with_its_remedy(
    server: IdentityServer, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture, problem: str, words: str
) -> None:
    product = Product(server)
    product.ids["anna"] = an_id(1)
    await stack.enter_async_context(product.running())
    person = await stack.enter_async_context(product.visited())
    server.fail(problem=problem, times=None)
    assert (await person.get()).status == 503
    (line,) = [record for record in caplog.records if record.name == "mimi_async.web.door"]
    assert line.levelname == "ERROR"
    assert words in line.getMessage()
    assert product.ids["anna"].reveal() not in caplog.text


async def test_what_passes_by_itself_is_logged_by_its_cause(
    server: IdentityServer, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    product = Product(server)
    product.ids["anna"] = an_id(1)
    await stack.enter_async_context(product.running())
    person = await stack.enter_async_context(product.visited())
    server.fail(times=None)
    assert (await person.get()).status == 503
    (line,) = [record for record in caplog.records if record.name == "mimi_async.web.door"]
    assert line.levelname == "INFO"
    assert "ServerBusyError" in line.getMessage()
