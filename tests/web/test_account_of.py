"""The host's `account_of`: it returns an account or None, is late, returns another value, or raises."""

import asyncio
import io
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web

from mimi_async import AnonymousId, StoreUnavailableError
from mimi_async.testing import IdentityServer
from mimi_async.web import AccountOf

from .sites import PAGES, SHORT_TIMEOUT, Person, Product

YEAR = {"year_of_birth": "1980", "sex": ""}
OWN = {"Sec-Fetch-Site": "same-origin"}


async def test_a_person_without_a_session_is_led_to_the_sign_in_of_the_partner(product: Product) -> None:
    async with product.open_browser(None) as signed_out:
        for page in PAGES:
            answer = await signed_out.get(page)
            assert answer.status == 401
            assert f"/sign-in?next=/mimi/{page}" in answer.document.links
        assert (await signed_out.post("year-of-birth", **YEAR)).status == 401
        assert (await signed_out.post("start-over", sure="yes")).status == 401


async def test_a_partner_may_answer_by_itself_and_is_protected_too(
    server: IdentityServer, stack: AsyncExitStack
) -> None:
    class Redirecting(Product):
        async def account_of(self, request: web.Request) -> str | None:
            raise web.HTTPFound(location="/sign-in")

    person = await stack.enter_async_context(Redirecting(server).serve_person())
    answer = await person.get()
    assert (answer.status, answer.location) == (302, "/sign-in")
    assert answer.headers["Cache-Control"] == "no-store"


def raising(error: Exception) -> AccountOf:
    async def account_of(request: web.Request) -> str | None:
        raise error

    return account_of


@pytest.mark.parametrize(
    ("failure", "status", "next_step"),
    [
        (web.HTTPFound("/sign-in"), 401, "sign-in"),
        (web.HTTPUnauthorized(), 401, "sign-in"),
        (web.HTTPServiceUnavailable(), 503, "retry"),
        (web.HTTPForbidden(text="a secret"), 500, "leave"),
        (web.HTTPNotFound(), 500, "leave"),
        (StoreUnavailableError("a secret"), 503, "retry"),
        (TimeoutError("a secret"), 503, "retry"),
        (RuntimeError("a secret"), 500, "leave"),
    ],
)
@pytest.mark.parametrize("page", ["test/begin", "test/answer"])
async def test_a_running_test_gets_a_next_step_whatever_account_of_raises(
    page: str, failure: Exception, status: int, next_step: str, server: IdentityServer, stack: AsyncExitStack
) -> None:
    person = await stack.enter_async_context(Product(server, settings={"account_of": raising(failure)}).serve_person())
    said, error = await person.send(page, {"state": "x", "heard": True})
    assert (said, error["next_step"]) == (status, next_step)
    assert error["sign_in"] == ("../../sign-in?next=/mimi/test" if next_step == "sign-in" else None)
    assert "a secret" not in str(error)


async def test_a_script_is_answered_in_json_before_any_page_is_reached(anna: Person) -> None:
    for headers, body, status in (({"Sec-Fetch-Site": "cross-site"}, b"", 403), (OWN, b"x" * (2**20 + 1), 413)):
        headers = {**headers, "Content-Type": "application/json"}
        answer = await anna.ask("POST", "test/answer", data=io.BytesIO(body), headers=headers)
        assert (answer.status, json.loads(answer.text)["next_step"]) == (status, "leave")


async def test_what_a_person_opens_by_hand_is_a_page(anna: Person) -> None:
    answer = await anna.get("test/begin")
    assert (answer.status, answer.headers["Content-Type"]) == (405, "text/html; charset=utf-8")
    assert "There is no such page" in answer.document.words


async def test_an_account_of_that_hangs_or_times_out_is_a_closed_page_which_keeps_what_was_written(
    server: IdentityServer, stack: AsyncExitStack
) -> None:
    async def hanging(request: web.Request) -> str | None:
        await asyncio.Event().wait()
        return None

    for account_of in (hanging, raising(TimeoutError())):
        settings = {"account_of": account_of, **SHORT_TIMEOUT}
        person = await stack.enter_async_context(Product(server, settings=settings).serve_person())
        assert (await person.get()).status == 503
        closed = await person.post("year-of-birth", **YEAR)
        assert (closed.status, closed.headers["Retry-After"]) == (503, "5")
        assert closed.document.fields["year_of_birth"] == "1980"


@pytest.mark.parametrize("account", [42, b"anna", "", "a\x00b", "x" * 201])
async def test_an_invalid_account_is_an_error_page_and_a_log_line_with_the_remedy(
    account: Any, server: IdentityServer, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    product = Product(server)
    product.accounts["session-0"] = account
    await stack.enter_async_context(product.run())
    person = await stack.enter_async_context(product.open_browser(None))
    person.http.headers["Cookie"] = "session=session-0"
    answer = await person.get()
    assert answer.status == 500
    assert "Not a medical device" in answer.document.words
    (line,) = [record for record in caplog.records if record.name == "mimi_async.web.dispatch"]
    assert line.levelname == "ERROR"
    assert f"account_of returned a {type(account).__name__} that names no account: return a text" in line.message
    assert str(account) == "" or str(account) not in line.message


async def test_an_account_of_that_is_not_a_coroutine_function_is_logged_with_its_remedy(
    server: IdentityServer, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    def account_of(request: web.Request) -> str:
        return "anna"

    product = Product(server, settings={"account_of": account_of})
    person = await stack.enter_async_context(product.serve_person())
    assert (await person.get()).status == 500
    assert "write `async def account_of(request)" in caplog.text


async def test_a_page_that_a_mistake_of_the_host_has_shut_says_so_in_the_log(
    server: IdentityServer, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    class Asking(Product):
        async def known_id(self, account: str) -> AnonymousId | None:
            await self.core.auth_for(account)  # which waits for known_id
            return None

    person = await stack.enter_async_context(Asking(server).serve_person())
    assert (await person.get()).status == 500
    assert [record.levelname for record in caplog.records if record.name == "mimi_async.web.dispatch"] == ["ERROR"]
    assert "ConfigurationError" in caplog.text
