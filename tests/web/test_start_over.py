"""Starting over: a person goes on without a profile that is lost."""

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
        self.quarantine: list[AnonymousId | None] = []

    async def start_over(self, account: str) -> None:
        self.quarantine.append(await self.core.start_over(account))
        self.ids.pop(account, None)


async def test_a_rejected_id_offers_to_start_over_and_does_so_when_the_person_is_sure(
    server: IdentityServer, stack: AsyncExitStack
) -> None:
    product = Lost(server)
    person = await stack.enter_async_context(product.serve_person())
    shut = await person.get()
    assert shut.status == 409
    assert "Retry-After" not in shut.headers
    assert "was not found" in shut.document.words
    assert (await person.submit(shut.document)).status == 303  # not sure
    assert product.quarantine == []
    assert (await person.submit(shut.document, sure="yes")).location == "/mimi/"
    assert product.quarantine == [an_id(1)]
    assert (await person.get()).status == 200
    await person.post("year-of-birth", **YEAR)
    assert server.users == 1


async def test_starting_over_when_the_profile_is_known_again_leads_to_it(
    anna: Person, server: IdentityServer, stack: AsyncExitStack
) -> None:
    await anna.post("year-of-birth", **YEAR)
    product = Lost(server)
    product.ids["anna"] = anna.product.ids["anna"]
    server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
    person = await stack.enter_async_context(product.serve_person())
    shut = await person.get()
    assert "we look for the old profile once more" in shut.document.words
    assert (await person.submit(shut.document, sure="yes")).location == "/mimi/"
    assert "1980" in (await person.get()).document.words
    assert product.quarantine == []
    assert server.users == 1


async def test_a_start_over_that_is_refused_while_the_profile_is_lost_is_a_mistake_of_the_host(
    server: IdentityServer, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    class Mistaken(Lost):
        async def start_over(self, account: str) -> None:
            msg = "start_over is wrong here"
            raise ConfigurationError(msg)

    person = await stack.enter_async_context(Mistaken(server).serve_person())
    assert (await person.post("start-over", sure="yes")).status == 500
    assert "start_over is wrong here" in caplog.text


async def test_starting_over_does_nothing_to_a_profile_that_can_be_found(
    server: IdentityServer, stack: AsyncExitStack, anna: Person
) -> None:
    await anna.post("year-of-birth", **YEAR)
    product = Lost(server)
    product.ids["anna"] = anna.product.ids["anna"]
    person = await stack.enter_async_context(product.serve_person())
    assert (await person.post("start-over", sure="yes")).location == "/mimi/"
    assert product.quarantine == []
    await server.stop()
    settings = {"start_over": product.start_over}
    other = await stack.enter_async_context(Product(server, product.ids, settings=settings).run())
    other_person = await stack.enter_async_context(other.open_browser())
    assert (await other_person.post("start-over", sure="yes")).status == 503
    assert product.quarantine == []


async def test_a_host_without_start_over_offers_none(server: IdentityServer, product: Product, anna: Person) -> None:
    product.ids["anna"] = an_id(1)
    shut = await anna.get()
    assert shut.document.action is None
    assert "ask the support" in shut.document.words
    assert (await anna.post("start-over", sure="yes")).status == 409
    assert (await anna.get()).status == 409
