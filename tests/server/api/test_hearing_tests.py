"""/v1/user/hearing-tests: kept once for each key, and listed by when the server received them, the last one first."""

import asyncio
import datetime as dt
from typing import Any

from mimi_async.server.users.repository import PAGE

from ..client import LEVELS, PlainClient, a_key, a_test

DATABASES = ["sqlite", "postgresql"]


def in_hours(hours: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


async def latest(client: PlainClient, token: str) -> str:
    user = (await client.ask("GET", "/v1/user", token=token)).json
    return str(user["latest_hearing_test"]["id"])


async def listed(client: PlainClient, token: str) -> list[Any]:
    return list((await client.ask("GET", "/v1/user/hearing-tests", token=token)).json["tests"])


async def test_a_test_is_kept_as_it_was_sent(client: PlainClient) -> None:
    token = await client.new_token()
    sent = a_test("2026-03-01T11:00:00.123456+01:00", calibrated=False)
    answer = await client.submit(token, sent)
    assert answer.status == 201
    kept = answer.json
    assert kept.pop("is_latest") is True
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


async def test_the_latest_is_the_one_that_was_received_last_whatever_the_clients_clock_says(
    client: PlainClient,
) -> None:
    token = await client.new_token()
    for taken_at in ("2026-03-01T10:00:00Z", in_hours(23), "1970-01-01T00:00:00Z", "2026-02-01T10:00:00Z"):
        kept = (await client.submit(token, a_test(taken_at))).json
        assert kept["is_latest"]
        assert await latest(client, token) == kept["id"]
    assert [test["taken_at"][:4] for test in await listed(client, token)][1:] == ["1970", in_hours(23)[:4], "2026"]


async def test_a_test_more_than_a_day_ahead_of_the_server_is_refused(client: PlainClient) -> None:
    token = await client.new_token()
    for taken_at in (in_hours(25), "2038-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
        answer = await client.submit(token, a_test(taken_at))
        assert (answer.status, answer.problem) == (422, "invalid-input")
        assert "more than a day ahead" in answer.json["detail"]
    assert await listed(client, token) == []


async def test_a_replay_of_an_earlier_test_does_not_become_the_latest(client: PlainClient) -> None:
    token, key = await client.new_token(), a_key()
    await client.submit(token, key=key)
    newest = (await client.submit(token)).json["id"]
    assert (await client.submit(token, key=key)).json["is_latest"] is False
    assert await latest(client, token) == newest


async def test_the_order_of_receipt_holds_where_the_clock_of_the_server_is_set_back(client: PlainClient) -> None:
    token = await client.new_token()
    context = client.server.context
    ids = []
    for now in (1.9e9, 1.8e9, 1.7e9):
        context.clock = lambda now=now: now
        token = context.sign_token(context.keys.verify_token(token, 0.0)).reveal()
        ids.append((await client.submit(token, a_test("2020-01-01T00:00:00Z"))).json["id"])
    assert [test["id"] for test in await listed(client, token)] == ids[::-1]
    assert await latest(client, token) == ids[-1]


async def test_tests_that_come_at_the_same_time_have_one_order(client: PlainClient) -> None:
    token = await client.new_token()
    now = client.server.context.clock()
    client.server.context.clock = lambda: now
    await asyncio.gather(*(client.submit(token) for _ in range(20)))
    tests = await listed(client, token)
    assert len({test["id"] for test in tests}) == 20
    assert await latest(client, token) == tests[0]["id"]


async def test_a_test_that_is_deleted_is_gone_and_the_one_before_is_the_latest(client: PlainClient) -> None:
    token = await client.new_token()
    first, second = [(await client.submit(token)).json["id"] for _ in range(2)]
    assert (await client.ask("DELETE", f"/v1/user/hearing-tests/{second}", token=token)).status == 204
    assert [test["id"] for test in await listed(client, token)] == [first]
    assert await latest(client, token) == first
    assert (await client.ask("DELETE", f"/v1/user/hearing-tests/{first}", token=token)).status == 204
    assert (await client.ask("GET", "/v1/user", token=token)).json["latest_hearing_test"] is None


async def test_a_deletion_of_a_test_that_the_user_does_not_have_changes_nothing(client: PlainClient) -> None:
    token, other = await client.new_token(), await client.new_token()
    kept, theirs = [(await client.submit(each)).json["id"] for each in (token, other)]
    for test_id in (theirs, "0" * 32, "x", "%00", "%ed%a0%80", "..%20"):
        answer = await client.ask("DELETE", f"/v1/user/hearing-tests/{test_id}", token=token)
        assert (answer.status, answer.body) == (204, b""), test_id
    assert (await latest(client, token), await latest(client, other)) == (kept, theirs)


async def test_a_deletion_needs_the_token_of_a_user_that_is_there(client: PlainClient) -> None:
    token = await client.new_token()
    kept = (await client.submit(token)).json["id"]
    path = f"/v1/user/hearing-tests/{kept}"
    assert (await client.ask("DELETE", path)).problem == "token-rejected"
    assert (await client.ask("DELETE", path, credentials=client.server.credentials)).problem == "token-rejected"
    await client.ask("DELETE", "/v1/user", token=token)
    assert (await client.ask("DELETE", path, token=token)).problem == "token-rejected"


async def test_one_test_can_be_deleted_and_nothing_else(client: PlainClient) -> None:
    answer = await client.ask("GET", f"/v1/user/hearing-tests/{'0' * 32}", token=await client.new_token())
    assert (answer.status, answer.headers["Allow"]) == (405, "DELETE")
    for path in ("/v1/user/hearing-tests/", f"/v1/user/hearing-tests/{'0' * 32}/x"):
        assert (await client.ask("DELETE", path, token=await client.new_token())).status == 404


async def test_an_export_says_when_each_test_was_received(client: PlainClient) -> None:
    token = await client.new_token()
    ids = [(await client.submit(token, a_test(f"20{20 - n}-01-01T00:00:00Z"))).json["id"] for n in range(3)]
    exported = (await client.ask("GET", "/v1/user/export", token=token)).json["hearing_tests"]
    assert [test["id"] for test in exported] == ids[::-1]
    received = [dt.datetime.fromisoformat(test["received_at"]) for test in exported]
    assert received == sorted(received, reverse=True)
    assert abs(received[0] - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5)


async def test_pages_have_the_last_received_first_and_miss_none(client: PlainClient) -> None:
    token = await client.new_token()
    moments = [f"2026-01-{1 + n % 28:02}T00:00:{n % 3:02}Z" for n in range(PAGE * 2 + 10)]
    for moment in moments:
        await client.submit(token, a_test(moment))
    pages, cursor = [], ""
    while cursor is not None:
        page = (await client.ask("GET", "/v1/user/hearing-tests" + cursor, token=token)).json
        pages.append(page["tests"])
        cursor = page["next_cursor"] and f"?cursor={page['next_cursor']}"
    assert [len(page) for page in pages] == [PAGE, PAGE, 10]
    tests = [test for page in pages for test in page]
    assert [test["taken_at"] for test in tests] == moments[::-1]
    assert len({test["id"] for test in tests}) == len(moments)


async def test_a_full_last_page_has_no_cursor(client: PlainClient) -> None:
    token = await client.new_token()
    answer = await client.ask("GET", "/v1/user/hearing-tests", token=token)
    assert answer.json == {"tests": [], "next_cursor": None}
    await asyncio.gather(*(client.submit(token) for _ in range(PAGE)))
    assert (await client.ask("GET", "/v1/user/hearing-tests", token=token)).json["next_cursor"] is None


async def test_the_next_page_continues_after_a_deleted_test(client: PlainClient) -> None:
    token = await client.new_token()
    ids = [(await client.submit(token)).json["id"] for _ in range(PAGE + 2)]
    page = (await client.ask("GET", "/v1/user/hearing-tests", token=token)).json
    await client.ask("DELETE", f"/v1/user/hearing-tests/{page['tests'][-1]['id']}", token=token)
    more = await client.ask("GET", f"/v1/user/hearing-tests?cursor={page['next_cursor']}", token=token)
    assert [test["id"] for test in more.json["tests"]] == ids[1::-1]


async def test_a_cursor_shows_no_test_of_another_user(client: PlainClient) -> None:
    await client.submit(await client.new_token())
    answer = await client.ask("GET", f"/v1/user/hearing-tests?cursor={'f' * 15}", token=await client.new_token())
    assert (answer.status, answer.json["tests"]) == (200, [])


async def test_a_cursor_that_no_page_gave_is_refused(client: PlainClient) -> None:
    for cursor in ("x", "", "0" * 32, "F" * 15, "0" * 14, "-00000000000001", "%00", "%ed%a0%80"):
        answer = await client.ask("GET", f"/v1/user/hearing-tests?cursor={cursor}", token=await client.new_token())
        assert (answer.status, answer.problem) == (422, "invalid-input"), cursor


MOMENTS = ("2026-03-01T10:00:00", "yesterday", 0, "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00")
EARS: list[object] = [{**LEVELS, "250": level} for level in (120.1, -10.1, None)]
INVALID: list[tuple[str, object]] = [
    *(("taken_at", moment) for moment in MOMENTS),
    *(("left", ear) for ear in (*EARS, {**LEVELS, "125": 0}, {"250": 0}, [])),
    *(("calibrated", 1), ("id", "x"), ("name", "Ada")),
]


async def test_an_invalid_test_and_one_without_a_key_are_refused(client: PlainClient) -> None:
    token = await client.new_token()
    for field, value in INVALID:
        answer = await client.submit(token, a_test() | {field: value})
        assert (answer.status, answer.problem) == (422, "invalid-input"), (field, value)
    answer = await client.ask("POST", "/v1/user/hearing-tests", a_test(), token=token)
    assert (answer.status, answer.problem) == (422, "invalid-input")
    assert await listed(client, token) == []


async def test_extreme_moments_are_kept(client: PlainClient) -> None:
    token = await client.new_token()
    for moment in ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z"):
        assert (await client.submit(token, a_test(moment))).json["taken_at"] == moment
