"""A hundred hostile texts in every field, in the name of the account and in the address: each stays a text."""

from urllib.parse import quote

import pytest

from mimi_async.identity import validate_account
from mimi_async.testing import IdentityServer

from .documents import Document
from .hostile import HOSTILE
from .sites import Person, Product

FIELDS = ("year_of_birth", "sex", "binding", "was_year_of_birth", "was_sex", "sure")


def shape(document: Document) -> list[tuple[str, frozenset[str]]]:
    """The elements and the names of their attributes: what a text must not change."""
    return [(name, frozenset(facts)) for name, facts in document.elements]


def test_there_are_a_hundred() -> None:
    assert len(set(HOSTILE)) == 100


@pytest.mark.parametrize("page", ["year-of-birth", "edit", "reset", "start-over"])
async def test_a_hostile_text_in_every_field_changes_no_element_of_the_page(
    page: str, anna: Person, server: IdentityServer
) -> None:
    await anna.post("year-of-birth", year_of_birth="1980", sex="")
    harmless = await anna.post(page, **dict.fromkeys(FIELDS, "0000"))
    for text in HOSTILE:
        answer = await anna.post(page, **dict.fromkeys(FIELDS, text))
        assert answer.status == harmless.status
        assert shape(answer.document) == shape(harmless.document)
        assert "Set-Cookie" not in answer.headers
    assert server.users == 1
    assert (await anna.get("edit")).document.fields["year_of_birth"] == "1980"


async def test_a_hostile_text_is_kept_as_it_was_written_while_the_server_is_down(
    anna: Person, server: IdentityServer
) -> None:
    await anna.post("year-of-birth", year_of_birth="1980", sex="")
    await server.stop()
    harmless = await anna.post("edit", harmless="x", year_of_birth="x")
    for text in HOSTILE:
        answer = await anna.post("edit", **{text[:100]: "x", "year_of_birth": text})
        assert answer.status == 503
        assert shape(answer.document) == shape(harmless.document)
        assert answer.document.fields["year_of_birth"].split() == text[:2000].split()


async def test_a_hostile_name_of_an_account_is_an_account_like_any_other(
    product: Product, server: IdentityServer
) -> None:
    async with product.open_browser("harmless") as person:
        await person.post("year-of-birth", year_of_birth="1980", sex="")
        harmless = (await person.get()).document
    fit = [text for text in HOSTILE if is_account(text)]
    assert len(fit) > 90
    for text in fit:
        async with product.open_browser(text) as person:
            await person.post("year-of-birth", year_of_birth="1980", sex="")
            document = (await person.get()).document
            assert shape(document) == shape(harmless)
            assert text not in document.words
    assert server.users == 1 + len(fit)
    assert set(product.ids) == {"harmless", *fit}


def is_account(text: str) -> bool:
    try:
        return validate_account(text) == text
    except ValueError:
        return False


async def test_a_hostile_address_or_language_is_an_address_that_does_not_exist(anna: Person) -> None:
    harmless = (await anna.get("nowhere")).document
    for text in HOSTILE:
        answer = await anna.get(quote(text[:500], safe=""))
        assert answer.status == 404
        assert shape(answer.document) == shape(harmless)
        wanted = text[:500].encode("ascii", "ignore").decode().translate(dict.fromkeys((0, 10, 13, 127)))
        assert (await anna.ask("GET", "nowhere", headers={"Accept-Language": wanted})).status == 404


async def test_a_hostile_state_of_a_hearing_test_is_none(anna: Person) -> None:
    await anna.send("test/begin", {})
    for text in HOSTILE:
        assert (await anna.send("test/begin", {"state": text}))[0] == 409
        assert (await anna.send("test/answer", {"state": text, "heard": True}))[0] == 409
        assert (await anna.send("test/answer", {"state": text, "heard": text}))[0] == 422
