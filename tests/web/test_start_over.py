"""Starting over: what a person decides about a profile that is not found, and what becomes of it."""

from contextlib import AsyncExitStack

import pytest

from mimi_async import AnonymousId, ConfigurationError
from mimi_async.testing import IdentityServer

from ..doubles import an_id
from .sites import Person, Product

YEAR = {"year_of_birth": "1980", "sex": ""}


class Lost(Product):
    """A product whose server does not know the id that the account has."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.settings["start_over"] = self.start_over
        self.ids["anna"] = an_id(1)
        self.set_aside: list[AnonymousId | None] = []

    async def start_over(self, account: str) -> None:
        self.set_aside.append(await self.core.start_over(account))
        self.ids.pop(account, None)


async def test_a_rejected_id_offers_to_start_over_and_does_so_when_the_person_is_sure(
    server: IdentityServer, stack: AsyncExitStack
) -> None:
    product = Lost(server)
    await stack.enter_async_context(product.running())
    person = await stack.enter_async_context(product.visited())
    shut = await person.get()
    assert shut.status == 409
    assert "Retry-After" not in shut.headers
    assert "was not found" in shut.document.words
    assert (await person.submit(shut.document)).status == 303  # not sure
    assert product.set_aside == []
    assert (await person.submit(shut.document, sure="yes")).location == "/mimi/"
    assert product.set_aside == [an_id(1)]
    assert (await person.get()).status == 200
    await person.post("year-of-birth", **YEAR)
    assert server.users == 1


async def test_who_starts_over_when_the_profile_is_known_again_lands_on_it(
    anna: Person, server: IdentityServer, stack: AsyncExitStack
) -> None:
    await anna.post("year-of-birth", **YEAR)
    product = Lost(server)
    product.ids["anna"] = anna.product.ids["anna"]
    server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
    await stack.enter_async_context(product.running())
    person = await stack.enter_async_context(product.visited())
    shut = await person.get()
    assert "we look for the old profile once more" in shut.document.words
    assert (await person.submit(shut.document, sure="yes")).location == "/mimi/"
    assert "1980" in (await person.get()).document.words
    assert product.set_aside == []
    assert server.users == 1


async def test_a_start_over_that_is_refused_while_the_profile_is_lost_is_a_mistake_of_the_host(
    server: IdentityServer, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    class Mistaken(Lost):
        async def start_over(self, account: str) -> None:
            msg = "this is no way to start over"
            raise ConfigurationError(msg)

    product = await stack.enter_async_context(Mistaken(server).running())
    person = await stack.enter_async_context(product.visited())
    assert (await person.post("start-over", sure="yes")).status == 500
    assert "this is no way to start over" in caplog.text


async def test_starting_over_does_nothing_to_a_profile_that_can_be_found(
    server: IdentityServer, stack: AsyncExitStack, anna: Person
) -> None:
    await anna.post("year-of-birth", **YEAR)
    product = Lost(server)
    product.ids["anna"] = anna.product.ids["anna"]
    await stack.enter_async_context(product.running())
    person = await stack.enter_async_context(product.visited())
    assert (await person.post("start-over", sure="yes")).location == "/mimi/"
    assert product.set_aside == []
    await server.stop()
    settings = {"start_over": product.start_over}
    other = await stack.enter_async_context(Product(server, product.ids, settings=settings).running())
    visitor = await stack.enter_async_context(other.visited())
    assert (await visitor.post("start-over", sure="yes")).status == 503
    assert product.set_aside == []


async def test_a_host_that_does_not_configure_it_lets_nobody_start_over(
    server: IdentityServer, product: Product, anna: Person
) -> None:
    product.ids["anna"] = an_id(1)
    shut = await anna.get()
    assert shut.document.action is None
    assert "ask the support" in shut.document.words
    assert (await anna.post("start-over", sure="yes")).status == 409
    assert (await anna.get()).status == 409
