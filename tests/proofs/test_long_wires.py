"""Random cancellations with 100 ms of latency to PostgreSQL and the server: no account gets another's value."""

import asyncio
import random
from urllib.parse import urlsplit

import pytest

from mimi_async import MimiCore
from mimi_async.stores.postgres import PostgresStore
from mimi_async.testing import IdentityServer

from ..conftest import rounds
from ..postgres_server import Postgres
from .conftest import Figures
from .pipe import Pipe
from .test_proxy import ACCOUNTS, Truth, run_operation

pytestmark = pytest.mark.timeout(rounds(240, 3600))

SECONDS = 0.1
WORKERS = 64


async def test_a_value_is_always_of_the_account_that_asked(
    postgres: Postgres, server: IdentityServer, figures: Figures
) -> None:
    dsn = await asyncio.to_thread(postgres.make_database)
    await PostgresStore(dsn).init()
    truth, outcomes = Truth(), dict[str, int]()
    operations = iter(random.randrange(ACCOUNTS) for _ in range(rounds(250, 10_000)))

    async def worker(core: MimiCore) -> None:
        for number in operations:
            await run_operation(core, truth, number, outcomes, seconds=8 * SECONDS)

    async with (
        Pipe("127.0.0.1", postgres.port, SECONDS / 2) as to_database,
        Pipe("127.0.0.1", _port(server), SECONDS / 2) as to_server,
    ):
        far = PostgresStore(f"postgresql://postgres@127.0.0.1:{to_database.port}/{dsn.rpartition('/')[2]}")
        url = f"http://127.0.0.1:{to_server.port}"
        async with (
            MimiCore(
                server.credentials, server=url, store=far, account=None, max_idle_controllers=ACCOUNTS // 4
            ) as core,
            asyncio.TaskGroup() as workers,
        ):
            for _ in range(WORKERS):
                workers.create_task(worker(core))
    await _check_all(PostgresStore(dsn), server, truth)
    assert outcomes["done"] > 0
    assert outcomes["cancelled"] > 0
    figures.add(**outcomes, values_checked=truth.checked, mismatches=0)


async def _check_all(store: PostgresStore, server: IdentityServer, truth: Truth) -> None:
    async with MimiCore(server.credentials, server=server.url, store=store, account=None) as core:
        for number in range(ACCOUNTS):
            truth.check(number, await (await core.auth_for(f"a-{number}")).ensure_user())
    assert len(set(truth.user_ids.values())) == ACCOUNTS == server.users


def _port(server: IdentityServer) -> int:
    port = urlsplit(server.url).port
    assert port is not None
    return port
