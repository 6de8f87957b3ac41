"""A form meets a change that another process of the product has just made: the page shows it, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mimi_async.stores import MemoryStore
from mimi_async.testing import IdentityServer

from .sites import Answer, Person, Product
from .test_results import submit_test

USER = "/v1/user"


@pytest.fixture
async def ben(product: Product) -> AsyncIterator[Person]:
    """The same person, before another process of the product."""
    other = Product(product.server, product.ids, store=MemoryStore())
    async with other.run(), other.open_browser("anna") as person:
        yield person


async def send_too_late(server: IdentityServer, sending: "asyncio.Task[Answer]", other: Person) -> Answer:
    """Send a form, whose change arrives after another process has kept a hearing test."""
    async with server.hold(USER, method="PATCH") as held:
        await held.arrived.wait()
        await submit_test(other, 30, 30)
        held.release()
        return await sending


async def test_an_edit_that_meets_a_change_shows_the_current_values(
    anna: Person, ben: Person, server: IdentityServer
) -> None:
    await anna.post("year-of-birth", year_of_birth="1980", sex="")
    form = (await anna.get("edit")).document
    sending = asyncio.create_task(anna.submit(form, year_of_birth="1970"))
    answer = await send_too_late(server, sending, ben)
    assert answer.status == 409
    assert "This was changed meanwhile" in answer.document.words
    assert "1980" in answer.document.words
    assert answer.document.fields["year_of_birth"] == "1970"
    assert (await anna.get("edit")).document.fields["year_of_birth"] == "1980"
    assert (await anna.submit(answer.document)).status == 303
    assert (await anna.get("edit")).document.fields["year_of_birth"] == "1970"


async def test_an_onboarding_that_meets_one_elsewhere_shows_what_there_is_by_now(
    anna: Person, server: IdentityServer
) -> None:
    other = Product(server, anna.product.ids, store=anna.product.store)
    async with other.run(), other.open_browser("anna") as ben:
        await anna.get()
        sending = asyncio.create_task(anna.post("year-of-birth", year_of_birth="1980", sex=""))
        answer = await send_too_late(server, sending, ben)
    assert answer.status == 409
    assert "to: Not said" in answer.document.words
    assert (answer.document.action, answer.document.fields["year_of_birth"]) == ("/mimi/edit", "1980")
    assert (await anna.submit(answer.document)).status == 303
    assert (await anna.get("edit")).document.fields["year_of_birth"] == "1980"
    assert server.users == 1
