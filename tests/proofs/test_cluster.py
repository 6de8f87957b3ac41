"""Processes on one PostgreSQL store and an identity server of two processes: one user for each account."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from mimi_async.stores.postgres import PostgresStore

from ..conftest import rounds
from ..postgres_server import Postgres
from .cluster import Cluster, cluster
from .conftest import Figures

pytestmark = pytest.mark.timeout(rounds(300, 3600))

PROCESSES = rounds(4, 8)
ACCOUNTS = [f"a-{number}" for number in range(rounds(25, 500))]
CALLS = rounds(2, 10)


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A server for this file: the tests restart it."""
    with Postgres() as server:
        yield server


async def _check_users(cluster: Cluster) -> None:
    """Check that each account has one user, that all workers agree on it, and that its id is stored."""
    ids: dict[str, set[str]] = {}
    for line in cluster.journal.lines():
        if line["id"] is not None:
            ids.setdefault(line["account"], set()).add(line["id"])
    assert ids.keys() == set(ACCOUNTS)
    assert {len(each) for each in ids.values()} == {1}
    assert cluster.users == len(ACCOUNTS)
    async with PostgresStore(cluster.store_url) as store:
        for account in ACCOUNTS:
            record = await store.load(account)
            assert record is not None
            assert record.state == "active"
            assert {record.secret.reveal()} == ids[account]


async def test_processes_agree_on_one_user_for_each_account(
    own_postgres: Postgres, tmp_path: Path, figures: Figures
) -> None:
    async with cluster(own_postgres, tmp_path) as running:
        await running.run_workers(PROCESSES, ACCOUNTS, CALLS)
        await _check_users(running)
        assert running.calls == PROCESSES * len(ACCOUNTS) * CALLS
        figures.add(calls=running.calls, users=running.users, accounts=len(ACCOUNTS))


async def test_they_agree_while_processes_are_killed_and_the_database_is_restarted(
    own_postgres: Postgres, tmp_path: Path, figures: Figures
) -> None:
    async with cluster(own_postgres, tmp_path) as running:

        async def restart_twice() -> None:
            for share in (1, 2):
                while running.calls < share * PROCESSES * len(ACCOUNTS) * CALLS / 3:  # noqa: ASYNC110 - other processes count
                    await asyncio.sleep(0.05)
                await asyncio.to_thread(own_postgres.restart)

        async with asyncio.TaskGroup() as group:
            restarts = group.create_task(restart_twice())
            killed = await running.run_workers(PROCESSES, ACCOUNTS, CALLS, kills=rounds(3, 60))
            await restarts
        assert killed > 0
        await _check_users(running)
        figures.add(processes_killed=killed, restarts_of_PostgreSQL=2, ids_lost=0)
