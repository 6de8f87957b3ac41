"""Many processes on one SQLite file, at the same instant."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from mimi_async import MimiCore
from mimi_async.stores import SQLiteStore
from mimi_async.testing import IdentityServer

from ..conftest import rounds
from .conftest import Figures, JobOf
from .journal import Journal
from .nursery import KILLED, Nursery

pytestmark = pytest.mark.timeout(rounds(120, 3600))

JournalAt = Callable[[str], Journal]
PROCESSES = 8


def _only_user(journal: Journal, account: str) -> tuple[str, str]:
    [user] = {(line["user"], line["id"]) for line in journal.lines(account, "ensured")}
    return user


async def test_eight_processes_make_one_user(
    server: IdentityServer, nursery: Nursery, job_of: JobOf, journal_at: JournalAt, figures: Figures
) -> None:
    for number in range(1, rounds(10, 200) + 1):
        at = f"{number}"
        assert await nursery.run(*[job_of("ensure", "a", at=at)] * PROCESSES) == [0] * PROCESSES
        assert len(journal_at(at).lines("a", "ensured")) == PROCESSES
        assert _only_user(journal_at(at), "a")
        assert server.users == number
        figures.add(races_for_one_account=1)


async def test_eight_processes_make_one_user_for_each_of_twenty_accounts(
    server: IdentityServer, nursery: Nursery, job_of: JobOf, journal_at: JournalAt, figures: Figures
) -> None:
    accounts = [f"a-{number}" for number in range(20)]
    for number in range(1, rounds(3, 50) + 1):
        at = f"{number}"
        jobs = [job_of("ensure", *random.sample(accounts, len(accounts)), at=at) for _ in range(PROCESSES)]
        assert await nursery.run(*jobs) == [0] * PROCESSES
        assert len({_only_user(journal_at(at), account) for account in accounts}) == len(accounts)
        assert server.users == number * len(accounts)
        figures.add(races_for_twenty_accounts=1)


async def test_a_launch_that_is_killed_leaves_its_user_to_the_other_one(
    server: IdentityServer, nursery: Nursery, job_of: JobOf, journal_at: JournalAt, figures: Figures
) -> None:
    for number in range(1, rounds(10, 200) + 1):
        at = f"{number}"
        doomed = job_of("ensure", "a", at=at, seconds=random.uniform(0.005, 0.05))
        assert await nursery.run(doomed, job_of("ensure", "a", at=at)) in ([KILLED, 0], [0, 0])
        assert await nursery.run(job_of("ensure", "a", at=at)) == [0]
        assert _only_user(journal_at(at), "a")
        assert {line["user"] for line in journal_at(at).lines("a", "told")} == {_only_user(journal_at(at), "a")[0]}
        assert server.users == number
        figures.add(races_with_one_killed=1)


async def test_eight_processes_that_follow_a_creation_cut_off_agree(
    server: IdentityServer, nursery: Nursery, job_of: JobOf, journal_at: JournalAt
) -> None:
    doomed = job_of("ensure", "a", at="one", point="POST /v1/anonymous-users answered")
    assert await nursery.run(doomed) == [KILLED]
    assert await nursery.run(*[job_of("restore", "a", at="one")] * PROCESSES) == [0] * PROCESSES
    restored = [line["id"] for line in journal_at("one").lines("a", "restored")]
    assert restored.pop(0) is None
    assert len(restored) == PROCESSES
    assert len(set(restored)) == 1
    assert server.users == 1


async def test_eight_processes_that_follow_a_reset_cut_off_end_without_a_user(
    server: IdentityServer, nursery: Nursery, job_of: JobOf, journal_at: JournalAt
) -> None:
    assert await nursery.run(job_of("reset", "a", at="one", point="after erasing")) == [KILLED]
    assert await nursery.run(*[job_of("restore", "a", at="one", asks_host=True)] * PROCESSES) == [0] * PROCESSES
    assert {line["id"] for line in journal_at("one").lines("a", "restored")} == {None}
    assert await journal_at("one").known_id("a") is None
    assert server.users == 0


async def test_eight_processes_that_make_and_reset_users_leave_none_behind(
    server: IdentityServer, nursery: Nursery, job_of: JobOf, journal_at: JournalAt, figures: Figures
) -> None:
    kept = 0
    for number in range(rounds(5, 100)):
        at = f"{number}"
        assert await nursery.run(*[job_of("mingle", "a", "b", at=at)] * PROCESSES) == [0] * PROCESSES
        assert await nursery.run(job_of("restore", "a", "b", at=at)) == [0]
        kept += sum(line["id"] is not None for line in journal_at(at).lines(event="restored"))
        assert server.users == kept
        figures.add(melees=1)


async def test_another_process_reads_a_record_as_soon_as_it_was_told(
    server: IdentityServer, nursery: Nursery, job_of: JobOf, journal_at: JournalAt
) -> None:
    job = job_of("restore", "a", at="one")
    async with MimiCore(
        server.credentials, server=server.url, store=SQLiteStore(job["store"]), account="a"
    ) as core:  # which is still running, its log not yet moved into the file
        user = await core.auth.ensure_user()
        assert await nursery.run(job) == [0]
    [line] = journal_at("one").lines("a", "restored")
    assert line["id"] == user.anonymous_id.reveal()


async def test_a_record_that_was_told_outlives_the_process_that_wrote_it(
    server: IdentityServer, nursery: Nursery, job_of: JobOf, journal_at: JournalAt
) -> None:
    job = job_of("ensure", "a", at="one", point="while telling")
    assert await nursery.run(job) == [KILLED]
    async with SQLiteStore(Path(job["store"])) as store:
        record = await store.load("a")
    [told] = journal_at("one").lines("a", "told")
    assert record is not None
    assert record.state == "active"
    assert record.secret.reveal() == told["id"]
