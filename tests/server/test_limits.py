"""The limits: protection, not accounting."""

import itertools
from collections.abc import AsyncIterator

import aiohttp
import pytest

from mimi_async.server.limits import Limits, Rate
from mimi_async.testing import IdentityServer, Settings

from .client import PlainClient, a_key


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def limited() -> AsyncIterator[PlainClient]:
    async with (
        IdentityServer(Settings(port=0, creation_limit=3)) as server,
        aiohttp.ClientSession() as session,
    ):
        yield PlainClient(server, session)


async def test_a_client_makes_only_so_many_users(limited: PlainClient) -> None:
    statuses = [(await limited.create()).status for _ in range(3)]
    answer = await limited.create()
    assert statuses == [201] * 3
    assert (answer.status, answer.problem) == (429, "about:blank")
    assert 1 <= int(answer.headers["Retry-After"]) <= 20
    assert limited.server.users == 3


async def test_replays_do_not_count_and_are_let_through(limited: PlainClient) -> None:
    key = a_key()
    assert [(await limited.create(key)).status for _ in range(5)] == [201, 200, 200, 200, 200]
    assert [(await limited.create()).status for _ in range(3)] == [201, 201, 429]
    assert (await limited.create(key)).status == 200


async def test_another_client_has_a_limit_of_its_own(limited: PlainClient) -> None:
    for _ in range(4):
        answer = await limited.create()
    assert answer.status == 429
    assert (await limited.create(credentials=limited.server.new_client())).status == 201


async def test_an_unknown_id_is_a_429_after_100_wrong_ones_and_a_known_one_is_let_in(client: PlainClient) -> None:
    made = (await client.create()).json
    ids = (f"00000000-0000-4000-8000-{number:012x}" for number in range(1000))
    answers = [await client.log_in(wrong) for wrong in itertools.islice(ids, 100)]
    assert [answer.status for answer in answers] == [404] * 100
    for wrong in ids:
        answer = await client.log_in(wrong)
        if answer.status != 404:  # a busy machine takes its time, in which the limit recovers a little
            break
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert (await client.log_in(made["anonymous_id"])).status == 200
    assert (await client.log_in(wrong, client.server.new_client())).status == 404


def test_a_rate_recovers_with_time() -> None:
    clock = Clock()
    rate = Rate(60, clock)
    for _ in range(60):
        assert rate.wait("c") == 0
        rate.count("c")
    assert rate.wait("c") == pytest.approx(1.0)
    clock.now += 1.0
    assert rate.wait("c") == pytest.approx(0.0)
    clock.now += 3600
    assert rate.wait("c") == 0


def test_the_exempt_client_has_no_limit() -> None:
    limits = Limits(1, exempt="mimi-dev")
    for _ in range(3):
        limits.created("mimi-dev")
        limits.created("other")
    assert limits.creation_wait("mimi-dev") == 0
    assert limits.creation_wait("other") > 0


def test_no_limit_is_no_limit() -> None:
    limits = Limits(None)
    limits.created("c")
    assert limits.creation_wait("c") == 0
