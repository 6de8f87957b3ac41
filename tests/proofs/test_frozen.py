"""PostgreSQL hangs: every call ends by its deadline, none returns "no user", and calls succeed again later."""

import asyncio
from collections.abc import Iterator

import pytest

from mimi_async import MimiCore, StoreUnavailableError
from mimi_async.stores.postgres import PostgresStore
from mimi_async.testing import IdentityServer

from ..conftest import rounds
from ..postgres_server import Postgres
from .conftest import Figures

ACCOUNTS = [f"a-{number}" for number in range(20)]
FROZEN_SECONDS = rounds(2, 20)
STORE_SECONDS = rounds(0.5, 10)


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


async def test_every_call_ends_and_afterwards_all_goes_on(
    own_postgres: Postgres, server: IdentityServer, figures: Figures
) -> None:
    store = PostgresStore(own_postgres.dsn, timeout=STORE_SECONDS)
    await store.init()
    core = MimiCore(server.credentials, server=server.url, store=store, account=None, max_idle_controllers=5)
    ended = 0
    async with core:
        users = {account: await (await core.auth_for(account)).ensure_user() for account in ACCOUNTS}
        with own_postgres.frozen():
            thawing = asyncio.create_task(asyncio.sleep(FROZEN_SECONDS))
            while not thawing.done():
                newcomers = [core.auth_for(f"new-{number}") for number in range(50)]
                outcomes = await asyncio.gather(*newcomers, return_exceptions=True)
                assert {type(outcome) for outcome in outcomes} == {StoreUnavailableError}
                ended += len(outcomes)
        for account, user in users.items():
            auth = await core.auth_for(account)
            assert await auth.ensure_user() == user
        newcomers = [core.auth_for(f"new-{number}") for number in range(50)]
        assert {auth.current_user for auth in await asyncio.gather(*newcomers)} == {None}
    assert server.users == len(ACCOUNTS)
    figures.add(calls_that_ended=ended, seconds_frozen=FROZEN_SECONDS, users=server.users)
