"""kill -9 at each named point: no announced id is lost, and no second user is made."""

import random
from collections.abc import Callable

import pytest

from mimi_async import ErasedAnonymousIdError
from mimi_async.testing import IdentityServer

from ..conftest import rounds
from .conftest import Figures, JobOf
from .journal import Journal
from .nursery import KILLED, Nursery

pytestmark = pytest.mark.timeout(rounds(120, 3600))

JournalAt = Callable[[str], Journal]

CREATION = [
    "before claim",
    "after claim",
    "before POST /v1/anonymous-users",
    "POST /v1/anonymous-users sent",
    "POST /v1/anonymous-users answered",
    "after POST /v1/anonymous-users",
    "before active",
    "after active",
    "before telling",
    "while telling",
    "after telling",
]
RESET = [
    "before erasing",
    "after erasing",
    "before POST /v1/sessions",
    "POST /v1/sessions answered",
    "before DELETE /v1/user",
    "DELETE /v1/user sent",
    "DELETE /v1/user answered",
    "after DELETE /v1/user",
    "before forget",
    "after forget",
    "before telling",
    "while telling",
    "after telling",
]


@pytest.mark.parametrize("point", CREATION)
async def test_a_creation_killed_at_any_point_makes_one_user_and_loses_no_id(
    point: str, server: IdentityServer, nursery: Nursery, job_of: JobOf, journal_at: JournalAt, figures: Figures
) -> None:
    places = [f"{number}" for number in range(rounds(10, 100))]
    assert await nursery.run_all(job_of("ensure", "a", at=at, point=point) for at in places) == {KILLED}
    told = {at: [line["id"] for line in journal_at(at).lines(event="told")] for at in places}
    for asks_host in (False, True):
        assert await nursery.run_all(job_of("ensure", "a", at=at, asks_host=asks_host) for at in places) == {0}
    for at in places:
        ensured = [(line["id"], line["user"]) for line in journal_at(at).lines(event="ensured")]
        assert len(ensured) == (3 if point == "after telling" else 2)
        assert len(set(ensured)) == 1
        assert set(told[at]) <= {ensured[0][0]}
    assert server.users == len(places)
    figures.add(points=1, kills=len(places), ids_lost=0, users_doubled=0)


@pytest.mark.parametrize("point", RESET)
async def test_a_reset_killed_at_any_point_is_undone_or_finished_and_the_host_is_told(
    point: str, server: IdentityServer, nursery: Nursery, job_of: JobOf, journal_at: JournalAt, figures: Figures
) -> None:
    places = [f"{number}" for number in range(rounds(10, 100))]
    assert await nursery.run_all(job_of("reset", "a", at=at, point=point) for at in places) == {KILLED}
    assert await nursery.run_all(job_of("restore", "a", at=at, asks_host=True) for at in places) == {0}
    is_undone = point == "before erasing"
    for at in places:
        journal = journal_at(at)
        [first] = journal.lines(event="ensured")
        assert journal.lines(event="restored")[-1]["id"] == (first["id"] if is_undone else None)
        assert (await journal.known_id("a") is not None) == is_undone
    assert server.users == (len(places) if is_undone else 0)
    assert await nursery.run_all(job_of("ensure", "a", at=at, asks_host=True) for at in places) == {0}
    for at in places:
        first, last = journal_at(at).lines(event="ensured")
        assert (first["id"] == last["id"]) == is_undone
    assert server.users == len(places)
    figures.add(points=1, kills=len(places))


async def test_processes_killed_at_any_moment_lose_no_id_and_double_no_user(
    server: IdentityServer, nursery: Nursery, job_of: JobOf, journal_at: JournalAt, figures: Figures
) -> None:
    accounts = [f"a-{number}" for number in range(5)]
    places = [f"{number}" for number in range(10)]
    for _ in range(rounds(3, 60)):
        doomed = (job_of("live", *accounts, at=at, asks_host=True, seconds=random.uniform(0.01, 0.5)) for at in places)
        assert await nursery.run_all(doomed) == {KILLED}
        assert await nursery.run_all(job_of("restore", *accounts, at=at, asks_host=True) for at in places) == {0}
        alive = [_survived(journal_at(at), account) for at in places for account in accounts]
        assert server.users == sum(alive)
        figures.add(kills_at_random=len(places))


def _survived(journal: Journal, account: str) -> bool:
    """Check what a restore made of an account, against what its host was told before; tell whether it has a user."""
    *_, found = journal.lines(account, "restored")
    events = [line for line in journal.lines(account) if line["event"] in ("told", "resetting")]
    if found["id"] is None:
        assert not events or events[-1]["error"] == ErasedAnonymousIdError.__name__
        return False
    assert events[-1]["id"] == found["id"]
    return True
