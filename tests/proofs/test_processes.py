"""Many processes on one SQLite file, at the same instant."""

import random
from pathlib import Path

import pytest

from mimi_async import MimiCore
from mimi_async.stores import SQLiteStore

from ..conftest import rounds
from ..fork_server import KILLED
from .conftest import Figures, Hosts
from .journal import Journal

pytestmark = pytest.mark.timeout(rounds(120, 3600))

PROCESSES = 8


def _only_user(journal: Journal, account: str) -> tuple[str, str]:
    [user] = {(line["user"], line["id"]) for line in journal.lines(account, "ensured")}
    return user


async def test_eight_processes_create_one_user(hosts: Hosts, figures: Figures) -> None:
    for number in range(1, rounds(2, 200) + 1):
        at = f"{number}"
        assert await hosts.run("ensure", "a", at=at, processes=PROCESSES) == {0}
        assert len(hosts.journal(at).lines("a", "ensured")) == PROCESSES
        assert _only_user(hosts.journal(at), "a")
        assert hosts.server.users == number
        figures.add(races_for_one_account=1)


async def test_eight_processes_create_one_user_for_each_of_twenty_accounts(hosts: Hosts, figures: Figures) -> None:
    accounts = [f"a-{number}" for number in range(20)]
    for number in range(1, rounds(1, 50) + 1):
        at = f"{number}"
        jobs = [hosts.job("ensure", *random.sample(accounts, len(accounts)), at=at) for _ in range(PROCESSES)]
        assert await hosts.fork_server.run(*jobs) == [0] * PROCESSES
        assert len({_only_user(hosts.journal(at), account) for account in accounts}) == len(accounts)
        assert hosts.server.users == number * len(accounts)
        figures.add(races_for_twenty_accounts=1)


async def test_a_launch_that_is_killed_leaves_its_user_to_the_other_one(hosts: Hosts, figures: Figures) -> None:
    for number in range(1, rounds(2, 200) + 1):
        at = f"{number}"
        killed = hosts.job("ensure", "a", at=at, seconds=random.uniform(0.005, 0.05))
        assert await hosts.fork_server.run(killed, hosts.job("ensure", "a", at=at)) in ([KILLED, 0], [0, 0])
        assert await hosts.run("ensure", "a", at=at) == {0}
        user, _ = _only_user(hosts.journal(at), "a")
        assert {line["user"] for line in hosts.journal(at).lines("a", "update")} == {user}
        assert hosts.server.users == number
        figures.add(races_with_one_killed=1)


async def test_eight_processes_that_follow_a_creation_cut_off_agree(hosts: Hosts) -> None:
    killed = hosts.job("ensure", "a", at="one", point="POST /v1/anonymous-users answered")
    assert await hosts.fork_server.run(killed) == [KILLED]
    assert await hosts.run("restore", "a", at="one", processes=PROCESSES) == {0}
    restored = [line["id"] for line in hosts.journal("one").lines("a", "restored")]
    assert restored.pop(0) is None
    assert len(restored) == PROCESSES
    assert len(set(restored)) == 1
    assert hosts.server.users == 1


async def test_eight_processes_that_follow_a_reset_cut_off_end_without_a_user(hosts: Hosts) -> None:
    assert await hosts.run("reset", "a", at="one", point="after replace") == {KILLED}
    assert await hosts.run("restore", "a", at="one", asks_host=True, processes=PROCESSES) == {0}
    assert {line["id"] for line in hosts.journal("one").lines("a", "restored")} == {None}
    assert await hosts.journal("one").known_id("a") is None
    assert hosts.server.users == 0


async def test_eight_processes_that_create_and_reset_users_leave_none_behind(hosts: Hosts, figures: Figures) -> None:
    kept = 0
    for number in range(rounds(2, 100)):
        at = f"{number}"
        assert await hosts.run("interleave", "a", "b", at=at, processes=PROCESSES) == {0}
        assert await hosts.run("restore", "a", "b", at=at) == {0}
        kept += sum(line["id"] is not None for line in hosts.journal(at).lines(event="restored"))
        assert hosts.server.users == kept
        figures.add(melees=1)


async def test_another_process_reads_a_record_after_its_update(hosts: Hosts) -> None:
    job = hosts.job("restore", "a", at="one")
    async with MimiCore(
        hosts.server.credentials, server=hosts.server.url, store=SQLiteStore(job["store"]), account="a"
    ) as core:  # still running: the record is in the WAL, not yet in the file
        user = await core.auth.ensure_user()
        assert await hosts.fork_server.run(job) == [0]
    [line] = hosts.journal("one").lines("a", "restored")
    assert line["id"] == user.anonymous_id.reveal()


async def test_a_record_survives_its_process_after_its_update(hosts: Hosts) -> None:
    job = hosts.job("ensure", "a", at="one", point="during delivery")
    assert await hosts.fork_server.run(job) == [KILLED]
    async with SQLiteStore(Path(job["store"])) as store:
        record = await store.load("a")
    [update] = hosts.journal("one").lines("a", "update")
    assert record is not None
    assert record.state == "active"
    assert record.secret.reveal() == update["id"]
