"""Addresses on the pages hold below a prefix that a proxy takes off: each is relative to the page that shows it."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from mimi_async import ConfigurationError
from mimi_async.testing import IdentityServer
from mimi_async.web.application import validate_address
from mimi_async.web.page_request import make_relative

from ..doubles import an_id
from .sites import PAGES, Answer, Person, Product

YEAR = {"year_of_birth": "1980", "sex": ""}
OF_THE_HOST = {"home": "/?a=1&b", "sign_in": "/sign-in", "theme": "/mine.css"}
OUTSIDE = "https://proxy.example"


@pytest.mark.parametrize(
    ("path", "base", "link"),
    [
        ("/mimi/", "/mimi/", "./"),
        ("/mimi/", "/mimi/test", "./"),
        ("/mimi/results", "/mimi/test", "./results"),
        ("/mimi/results", "/mimi/test/begin", "../results"),
        ("/mimi/static/mimi.js", "/mimi/test", "./static/mimi.js"),
        ("/mimi/test/begin", "/mimi/test", "./test/begin"),
        ("/mimi/", "/mimi/a/b/", "../../"),
        ("/sign-in", "/mimi/test", "../sign-in"),
        ("/", "/mimi/", "../"),
        ("/mimi", "/mimi/", "../mimi"),
        ("/home?next=/mimi/a", "/mimi/", "../home?next=/mimi/a"),
        ("/mimi/a:b", "/mimi/", "./a:b"),
        ("/results", "/", "./results"),
    ],
)
def test_a_relative_address_leads_from_one_path_to_the_other(path: str, base: str, link: str) -> None:
    assert make_relative(path, base) == link
    assert urljoin(base, link) == path
    assert urljoin(f"/pre/fix{base}", link) == f"/pre/fix{path}"


def addresses(answer: Answer) -> set[str]:
    """Return every address that an answer hands to the browser, as it is written."""
    names = ("href", "src", "action", "data-begin", "data-answer", "data-results")
    found = {facts[name] for _, facts in answer.document.elements for name in names if name in facts}
    found.add(answer.headers.get("Location"))
    return {str(address) for address in found if address and not address.startswith("#")}


async def assert_holding(person: Person, answer: Answer) -> None:
    """Assert that the addresses of an answer lead below the prefix, to a page of the host or of this application."""
    for address in addresses(answer):
        there = urlsplit(urljoin(f"{OUTSIDE}/pre/fix{answer.path}", address))
        assert f"{there.scheme}://{there.netloc}" == OUTSIDE, address
        prefix, slash, path = there.path.partition("/pre/fix/")
        assert (prefix, slash) == ("", "/pre/fix/"), address
        if path.startswith("mimi/"):
            assert (await person.get(path.removeprefix("mimi/"))).status != 404, address
        else:
            assert path in ("", "sign-in", "mine.css")


@pytest.fixture
async def hosted(server: IdentityServer) -> AsyncIterator[Product]:
    """A product with addresses of its own."""
    product = Product(server, settings=dict(OF_THE_HOST))
    product.settings["start_over"] = product.core.start_over
    async with product.run():
        yield product


async def test_every_address_of_every_page_holds_below_a_prefix_that_is_unknown_here(hosted: Product) -> None:
    pages = (*PAGES, "nowhere", "deep/down/below", "deep%2Fdown")
    async with hosted.open_browser() as anna:
        for prepare in (anna.get, lambda: anna.post("year-of-birth", **YEAR), anna.take_test):
            await prepare()
            for page in pages:
                await assert_holding(anna, await anna.get(page))
        document = (await anna.get("reset")).document
        for answer in (await anna.submit_to("reset", document, sure=""), await anna.submit_to("edit", document)):
            assert addresses(answer)
            await assert_holding(anna, answer)


async def test_every_address_of_a_page_that_says_why_holds_below_a_prefix(hosted: Product) -> None:
    hosted.ids["ben"] = an_id(1)
    async with hosted.open_browser(None) as signed_out, hosted.open_browser("ben") as ben:
        for page in ("", "test", "deep/down"):
            await assert_holding(signed_out, await signed_out.get(page))
            await assert_holding(ben, await ben.get(page))
        await assert_holding(signed_out, await signed_out.post("start-over"))


async def test_a_redirect_and_the_answers_to_the_script_hold_below_a_prefix(hosted: Product) -> None:
    async with hosted.open_browser() as anna, hosted.open_browser(None) as signed_out:
        assert (await anna.post("year-of-birth", **YEAR)).headers["Location"] == "./"
        assert (await anna.get("results")).headers["Location"] == "./"
        assert await anna.take_test() == {"done": "../results"}
        _, error = await signed_out.send("test/begin", {})
        assert error["sign_in"] == "../../sign-in?next=/mimi/test"


async def test_a_whole_address_of_the_host_stays_as_it_is(server: IdentityServer) -> None:
    whole = {"home": "https://acme.example/app?a=/b", "sign_in": "http://127.0.0.1:80/in?a"}
    product = Product(server, settings=whole)
    async with product.run(), product.open_browser(None) as signed_out:
        assert {whole["home"], f"{whole['sign_in']}&next=/mimi/"} <= (await signed_out.get()).document.links


@pytest.mark.parametrize(
    "address",
    ["//evil.example", "/\\evil.example", "/\t/evil.example", "/a\nb", "/a\x7f", "/a b", "/\u200b", "", "home", "../x",
     "javascript:alert(1)", "data:text/css,x", "https:", "https:///x", "http://[::1", "ftp://a/b", b"/", 7],
    ids=ascii,
)  # fmt: skip
def test_an_address_of_the_host_that_a_browser_may_read_as_another_is_refused(address: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^home is an address"):
        validate_address("home", address)
