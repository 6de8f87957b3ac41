"""SIGKILL at each named point: no announced id is lost, and no second user is created."""

import random

import pytest

from mimi_async import ErasedAnonymousIdError

from ..conftest import rounds
from ..fork_server import KILLED
from .conftest import Figures, Hosts
from .journal import Journal

pytestmark = pytest.mark.timeout(rounds(120, 3600))

CREATION = [
    "before claim",
    "after claim",
    "before POST /v1/anonymous-users",
    "POST /v1/anonymous-users sent",
    "POST /v1/anonymous-users answered",
    "after POST /v1/anonymous-users",
    "before replace",
    "after replace",
    "before delivery",
    "during delivery",
    "after delivery",
]
RESET = [
    "before replace",
    "after replace",
    "before POST /v1/sessions",
    "POST /v1/sessions answered",
    "before DELETE /v1/user",
    "DELETE /v1/user sent",
    "DELETE /v1/user answered",
    "after DELETE /v1/user",
    "before forget",
    "after forget",
    "before delivery",
    "during delivery",
    "after delivery",
]


@pytest.mark.parametrize("point", CREATION)
async def test_a_creation_killed_at_any_point_creates_one_user_and_loses_no_id(
    point: str, hosts: Hosts, figures: Figures
) -> None:
    names = [f"{number}" for number in range(rounds(1, 100))]
    assert await hosts.run_each("ensure", "a", names=names, point=point) == {KILLED}
    announced = {at: [line["id"] for line in hosts.journal(at).lines(event="update")] for at in names}
    for asks_host in (False, True):
        assert await hosts.fork_server.run_all(
            hosts.job("ensure", "a", at=at, asks_host=asks_host) for at in names
        ) == {0}
    for at in names:
        ensured = [(line["id"], line["user"]) for line in hosts.journal(at).lines(event="ensured")]
        assert len(ensured) == (3 if point == "after delivery" else 2)
        assert len(set(ensured)) == 1
        assert set(announced[at]) <= {ensured[0][0]}
    assert hosts.server.users == len(names)
    figures.add(points=1, kills=len(names), ids_lost=0, users_doubled=0)


@pytest.mark.parametrize("point", RESET)
async def test_a_reset_killed_at_any_point_is_undone_or_finished_and_the_host_gets_an_update(
    point: str, hosts: Hosts, figures: Figures
) -> None:
    names = [f"{number}" for number in range(rounds(1, 100))]
    assert await hosts.run_each("reset", "a", names=names, point=point) == {KILLED}
    assert await hosts.run_each("restore", "a", names=names, asks_host=True) == {0}
    is_undone = point == "before replace"
    for at in names:
        journal = hosts.journal(at)
        [first] = journal.lines(event="ensured")
        assert journal.lines(event="restored")[-1]["id"] == (first["id"] if is_undone else None)
        assert (await journal.known_id("a") is not None) == is_undone
    assert hosts.server.users == (len(names) if is_undone else 0)
    assert await hosts.run_each("ensure", "a", names=names, asks_host=True) == {0}
    for at in names:
        first, last = hosts.journal(at).lines(event="ensured")
        assert (first["id"] == last["id"]) == is_undone
    assert hosts.server.users == len(names)
    figures.add(points=1, kills=len(names))


async def test_processes_killed_at_any_time_lose_no_id_and_duplicate_no_user(hosts: Hosts, figures: Figures) -> None:
    accounts = [f"a-{number}" for number in range(5)]
    names = [f"{number}" for number in range(rounds(6, 10))]
    for _ in range(rounds(2, 60)):
        killed = (
            hosts.job("live", *accounts, at=at, asks_host=True, seconds=random.uniform(0.01, 0.5)) for at in names
        )
        assert await hosts.fork_server.run_all(killed) == {KILLED}
        assert await hosts.fork_server.run_all(
            hosts.job("restore", *accounts, at=at, asks_host=True) for at in names
        ) == {0}
        alive = [_check_restored(hosts.journal(at), account) for at in names for account in accounts]
        assert hosts.server.users == sum(alive)
        figures.add(kills_at_random=len(names))


def _check_restored(journal: Journal, account: str) -> bool:
    """Compare the result of a restore with the updates before it; return whether the account has a user."""
    *_, found = journal.lines(account, "restored")
    events = [line for line in journal.lines(account) if line["event"] in ("update", "resetting")]
    if found["id"] is None:
        assert not events or events[-1]["error"] == ErasedAnonymousIdError.__name__
        return False
    assert events[-1]["id"] == found["id"]
    return True
