"""/v1/user/hearing-tests: kept once for each key, told newest first."""

import asyncio

import pytest

from mimi_async.server.users import PAGE

from .client import LEVELS, PlainClient, a_key, a_test

BOOKS = ["sqlite", "postgresql"]


async def test_a_test_is_kept_as_it_was_sent(client: PlainClient) -> None:
    token = await client.new_token()
    sent = a_test("2026-03-01T11:00:00.123456+01:00", calibrated=False)
    answer = await client.submit(token, sent)
    assert answer.status == 201
    kept = answer.json
    assert kept == sent | {"id": kept["id"], "taken_at": "2026-03-01T10:00:00.123456Z"}
    assert (await client.ask("GET", "/v1/user", token=token)).json["latest_hearing_test"] == kept


async def test_a_replay_keeps_it_once(client: PlainClient) -> None:
    token, key = await client.new_token(), a_key()
    first = await client.submit(token, key=key)
    replay = await client.submit(token, a_test("2020-01-01T00:00:00Z"), key=key)
    assert (first.status, replay.status) == (201, 200)
    assert replay.json == first.json
    assert len((await client.ask("GET", "/v1/user/hearing-tests", token=token)).json["tests"]) == 1


async def test_one_key_at_the_same_time_keeps_one(client: PlainClient) -> None:
    token, key = await client.new_token(), a_key()
    answers = await asyncio.gather(*(client.submit(token, key=key) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [200] * 19 + [201]
    assert len({answer.json["id"] for answer in answers}) == 1


async def test_a_key_of_another_user_keeps_another(client: PlainClient) -> None:
    key = a_key()
    ours, theirs = [await client.submit(await client.new_token(), key=key) for _ in range(2)]
    assert (ours.status, theirs.status) == (201, 201)
    assert ours.json["id"] != theirs.json["id"]


async def test_the_latest_is_the_newest_by_when_it_was_taken(client: PlainClient) -> None:
    token = await client.new_token()
    newest = (await client.submit(token, a_test("2026-03-01T10:00:00Z"))).json
    await client.submit(token, a_test("2026-02-01T10:00:00Z"))
    await client.submit(token, a_test("2026-03-01T11:59:59+02:00"))
    assert (await client.ask("GET", "/v1/user", token=token)).json["latest_hearing_test"] == newest


async def test_pages_are_newest_first_and_miss_none(client: PlainClient) -> None:
    token = await client.new_token()
    moments = [f"2026-01-{1 + n % 28:02}T00:00:{n % 3:02}Z" for n in range(PAGE * 2 + 10)]
    await asyncio.gather(*(client.submit(token, a_test(moment)) for moment in moments))
    pages, cursor = [], ""
    while cursor is not None:
        page = (await client.ask("GET", "/v1/user/hearing-tests" + cursor, token=token)).json
        pages.append(page["tests"])
        cursor = page["next_cursor"] and f"?cursor={page['next_cursor']}"
    assert [len(page) for page in pages] == [PAGE, PAGE, 10]
    tests = [test for page in pages for test in page]
    assert [test["taken_at"] for test in tests] == sorted(moments, reverse=True)
    assert len({test["id"] for test in tests}) == len(moments)


async def test_a_full_last_page_has_no_cursor(client: PlainClient) -> None:
    token = await client.new_token()
    await asyncio.gather(*(client.submit(token) for _ in range(PAGE)))
    assert (await client.ask("GET", "/v1/user/hearing-tests", token=token)).json["next_cursor"] is None


async def test_a_user_without_tests_has_an_empty_page(client: PlainClient) -> None:
    answer = await client.ask("GET", "/v1/user/hearing-tests", token=await client.new_token())
    assert answer.json == {"tests": [], "next_cursor": None}


async def test_a_cursor_of_another_user_is_refused(client: PlainClient) -> None:
    test = (await client.submit(await client.new_token())).json
    for cursor in (test["id"], "x", "", "0" * 32, "%00", "%ed%a0%80"):
        answer = await client.ask("GET", f"/v1/user/hearing-tests?cursor={cursor}", token=await client.new_token())
        assert (answer.status, answer.problem) == (422, "invalid-input"), cursor


@pytest.mark.parametrize(
    "changes",
    [
        {"taken_at": "2026-03-01T10:00:00"},
        {"taken_at": "yesterday"},
        {"taken_at": 0},
        {"taken_at": "0001-01-01T00:00:00+05:00"},
        {"taken_at": "9999-12-31T23:59:59-05:00"},
        {"calibrated": 1},
        {"left": {**LEVELS, "250": 120.1}},
        {"left": {**LEVELS, "250": -10.1}},
        {"left": {**LEVELS, "250": None}},
        {"left": {**LEVELS, "125": 0}},
        {"left": {"250": 0}},
        {"right": []},
        {"id": "x"},
        {"name": "Ada"},
    ],
)
async def test_a_test_that_is_none_is_refused(client: PlainClient, changes: dict[str, object]) -> None:
    token = await client.new_token()
    answer = await client.submit(token, a_test() | changes)
    assert (answer.status, answer.problem) == (422, "invalid-input")
    assert (await client.ask("GET", "/v1/user/hearing-tests", token=token)).json["tests"] == []


async def test_a_test_without_a_key_is_refused(client: PlainClient) -> None:
    answer = await client.ask("POST", "/v1/user/hearing-tests", a_test(), token=await client.new_token())
    assert (answer.status, answer.problem) == (422, "invalid-input")


async def test_extreme_moments_are_kept(client: PlainClient) -> None:
    token = await client.new_token()
    for moment in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
        assert (await client.submit(token, a_test(moment))).json["taken_at"] == moment
