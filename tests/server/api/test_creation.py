"""POST /v1/anonymous-users: a key creates one user."""

import asyncio
import re
import uuid

from mimi_async.server.users.repository import uuid7

from ..client import PlainClient, a_key

DATABASES = ["sqlite", "postgresql"]


async def test_creates_an_anonymous_user(client: PlainClient) -> None:
    answer = await client.create()
    assert answer.status == 201
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", answer.json["anonymous_id"])
    user = answer.json["user"]
    assert re.fullmatch("[0-9a-f]{32}", user.pop("id"))
    assert user == {"is_anonymous": True, "year_of_birth": None, "sex": None, "latest_hearing_test": None}
    assert answer.json["expires_in"] == 900
    assert client.server.users == 1


def test_user_ids_are_uuids_of_version_7() -> None:
    ids = [uuid.UUID(uuid7(1_700_000_000.0005)) for _ in range(100)]
    assert {(it.version, it.variant) for it in ids} == {(7, uuid.RFC_4122)}
    assert {it.int >> 80 for it in ids} == {1_700_000_000_000}
    assert len(set(ids)) == 100


async def test_a_replay_returns_the_same_user_with_its_current_data(client: PlainClient) -> None:
    key = a_key()
    first, replay = await client.create(key), await client.create(key)
    assert (first.status, replay.status) == (201, 200)
    assert replay.json["anonymous_id"] == first.json["anonymous_id"]
    assert replay.json["user"] == first.json["user"]
    token = first.json["access_token"]
    await client.ask("PATCH", "/v1/user", {"year_of_birth": 1980}, token=token)
    await client.submit(token)
    user = (await client.create(key)).json["user"]
    assert user["year_of_birth"] == 1980
    assert user["latest_hearing_test"]["calibrated"] is True
    assert client.server.users == 1


async def test_concurrent_requests_with_one_key_create_one_user(client: PlainClient) -> None:
    key = a_key()
    answers = await asyncio.gather(*(client.create(key) for _ in range(50)))
    assert sorted(answer.status for answer in answers) == [200] * 49 + [201]
    assert len({answer.json["anonymous_id"] for answer in answers}) == 1
    assert client.server.users == 1


async def test_the_key_of_an_erased_user_creates_no_user_again(client: PlainClient) -> None:
    key = a_key()
    token = (await client.create(key)).json["access_token"]
    assert (await client.ask("DELETE", "/v1/user", token=token)).status == 204
    for _ in range(2):
        answer = await client.create(key)
        assert (answer.status, answer.problem) == (410, "erased")
    assert client.server.users == 0


async def test_a_key_that_is_missing_or_could_be_guessed_is_refused(client: PlainClient) -> None:
    credentials = client.server.credentials
    for key in (None, "", "short", "x" * 31, "x" * 129, "ä" * 40, "with a blank" * 4):
        answer = await client.ask("POST", "/v1/anonymous-users", {}, credentials=credentials, key=key)
        assert (answer.status, answer.problem) == (422, "invalid-input"), key
    assert client.server.users == 0


async def test_a_creation_with_a_field_is_refused(client: PlainClient) -> None:
    credentials = client.server.credentials
    bodies: list[object] = [{"name": "Ada"}, [], b"null"]
    for body in bodies:
        answer = await client.ask("POST", "/v1/anonymous-users", body, credentials=credentials, key=a_key())
        assert (answer.status, answer.problem) == (422, "invalid-input"), body
    assert client.server.users == 0
