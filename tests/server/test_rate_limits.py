"""The limits: protection, not accounting."""

import itertools
from collections.abc import AsyncIterator

import aiohttp
import pytest

from mimi_async.server.rate_limits import LeakyBucket
from mimi_async.testing import IdentityServer, Settings

from .client import PlainClient, a_key


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
    now = 1000.0
    rate = LeakyBucket(60, clock=lambda: now)
    for _ in range(60):
        assert rate.seconds_until_free("c") == 0
        rate.add("c")
    assert rate.seconds_until_free("c") == pytest.approx(1.0)
    now += 1.0
    assert rate.seconds_until_free("c") == pytest.approx(0.0)
    now += 3600
    assert rate.seconds_until_free("c") == 0


def test_the_exempt_client_has_no_limit_and_none_means_no_limit() -> None:
    rate, unlimited = LeakyBucket(1, exempt="mimi-dev"), LeakyBucket(None)
    for _ in range(3):
        for client in ("mimi-dev", "other"):
            rate.add(client)
        unlimited.add("other")
    assert rate.seconds_until_free("mimi-dev") == 0
    assert rate.seconds_until_free("other") > 0
    assert unlimited.seconds_until_free("other") == 0
