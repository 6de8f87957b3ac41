"""Two cores of one process on one store object: each hears what the other changes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from examples.partner_cluster.postgres import Postgres
from mimi_async import MimiCore, MimiError, MimiUser
from mimi_async.stores import PostgresStore
from mimi_async.testing import IdentityServer
from tests.auth.telling import until

from .tables import Tables

Told = tuple[MimiUser | None, MimiUser | None, type[MimiError] | None]


@pytest.fixture
async def store(postgres: Postgres) -> AsyncIterator[PostgresStore]:
    async with Tables.make(postgres).store() as store:
        yield store


async def test_a_log_out_of_one_core_reaches_the_other(store: PostgresStore) -> None:
    async with IdentityServer() as server:
        cores = [MimiCore(server.credentials, server=server.url, store=store, account=None) for _ in range(2)]
        async with cores[0] as core, cores[1] as other:
            auth, its_own = await core.auth_for("a"), list[Told]()
            user = await auth.ensure_user()
            theirs = await other.auth_for("a")
            assert theirs.current_user == user
            auth.observe(lambda _, *, current, old, error: its_own.append((current, old, error)))
            updates = theirs.updates()
            await until(lambda: store._listener.listening == 2)
            async with asyncio.timeout(10):
                await auth.log_out()
                update = await anext(updates)
            assert (update.current, update.old, update.error) == (None, user, None)
            again = await auth.ensure_user()
            async with asyncio.timeout(10):
                update = await anext(updates)
            assert (update.current, update.old, update.error) == (again, None, None)
            assert its_own == [(None, user, None), (again, None, None)]
