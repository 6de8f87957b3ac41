"""POST /v1/anonymous-users: a key makes one user, for ever."""

import asyncio
import re
import uuid

import aiohttp
import pytest

from mimi_async.identity import ClientCredentials
from mimi_async.server.users import uuid7
from mimi_async.testing import IdentityServer

from .client import PlainClient, a_key

BOOKS = ["sqlite", "postgresql"]


async def test_makes_an_anonymous_user(client: PlainClient) -> None:
    answer = await client.create()
    assert answer.status == 201
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", answer.json["anonymous_id"])
    user = answer.json["user"]
    assert re.fullmatch("[0-9a-f]{32}", user.pop("id"))
    assert user == {"is_anonymous": True, "year_of_birth": None, "sex": None, "latest_hearing_test": None}
    assert answer.json["expires_in"] == 900
    assert client.server.users == 1


def test_user_ids_are_made_as_rfc_9562_says() -> None:
    ids = [uuid.UUID(uuid7(1_700_000_000.0005)) for _ in range(100)]
    assert {(it.version, it.variant) for it in ids} == {(7, uuid.RFC_4122)}
    assert {it.int >> 80 for it in ids} == {1_700_000_000_000}
    assert len(set(ids)) == 100


async def test_a_replay_gets_the_same_user(client: PlainClient) -> None:
    key = a_key()
    first, replay = await client.create(key), await client.create(key)
    assert (first.status, replay.status) == (201, 200)
    assert replay.json["anonymous_id"] == first.json["anonymous_id"]
    assert replay.json["user"] == first.json["user"]
    assert client.server.users == 1


async def test_a_replay_tells_what_became_of_the_user(client: PlainClient) -> None:
    key = a_key()
    token = (await client.create(key)).json["access_token"]
    await client.ask("PATCH", "/v1/user", {"year_of_birth": 1980}, token=token)
    await client.submit(token)
    user = (await client.create(key)).json["user"]
    assert user["year_of_birth"] == 1980
    assert user["latest_hearing_test"]["calibrated"] is True


async def test_another_key_makes_another_user(client: PlainClient) -> None:
    first, second = await client.create(), await client.create()
    assert first.json["anonymous_id"] != second.json["anonymous_id"]
    assert first.json["user"]["id"] != second.json["user"]["id"]
    assert client.server.users == 2


async def test_one_key_at_the_same_time_from_many_makes_one_user(client: PlainClient) -> None:
    key = a_key()
    answers = await asyncio.gather(*(client.create(key) for _ in range(50)))
    assert sorted(answer.status for answer in answers) == [200] * 49 + [201]
    assert len({answer.json["anonymous_id"] for answer in answers}) == 1
    assert client.server.users == 1


async def test_a_lost_reply_makes_no_second_user(client: PlainClient, server: IdentityServer) -> None:
    key = a_key()
    server.drop_reply("/v1/anonymous-users")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.create(key)
    assert server.users == 1
    assert (await client.create(key)).status == 200
    assert server.users == 1


async def test_a_key_is_known_after_a_restart(client: PlainClient, server: IdentityServer) -> None:
    key = a_key()
    first = await client.create(key)
    await server.stop()
    await server.start()
    replay = await client.create(key)
    assert replay.status == 200
    assert replay.json["anonymous_id"] == first.json["anonymous_id"]


async def test_a_key_of_an_erased_user_makes_none_again(client: PlainClient) -> None:
    key = a_key()
    token = (await client.create(key)).json["access_token"]
    assert (await client.ask("DELETE", "/v1/user", token=token)).status == 204
    for _ in range(2):
        answer = await client.create(key)
        assert (answer.status, answer.problem) == (410, "erased")
    assert client.server.users == 0


@pytest.mark.parametrize("key", ["", "short", "x" * 31, "x" * 129, "ä" * 40, "with a blank" * 4])
async def test_a_key_that_could_be_guessed_is_refused(client: PlainClient, key: str) -> None:
    credentials = client.server.credentials
    answer = await client.ask("POST", "/v1/anonymous-users", {}, credentials=credentials, key=key)
    assert (answer.status, answer.problem) == (422, "invalid-input")
    assert client.server.users == 0


async def test_a_creation_without_a_key_is_refused(client: PlainClient) -> None:
    answer = await client.ask("POST", "/v1/anonymous-users", {}, credentials=client.server.credentials)
    assert (answer.status, answer.problem) == (422, "invalid-input")


@pytest.mark.parametrize("body", [{"name": "Ada"}, {"email": "ada@example.org"}, [], None, "x", 1])
async def test_nothing_can_be_said_about_who_it_is(client: PlainClient, body: object) -> None:
    data = b"null" if body is None else body
    credentials = client.server.credentials
    answer = await client.ask("POST", "/v1/anonymous-users", data, credentials=credentials, key=a_key())
    assert (answer.status, answer.problem) == (422, "invalid-input")
    assert client.server.users == 0


async def test_a_wrong_secret_makes_nothing(client: PlainClient) -> None:
    wrong = ClientCredentials(client.server.credentials.client_id, "wrong")
    answer = await client.create(credentials=wrong)
    assert (answer.status, answer.problem) == (401, "credentials-rejected")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert client.server.users == 0


async def test_an_unknown_client_makes_nothing(client: PlainClient) -> None:
    unknown = ClientCredentials("nobody", client.server.credentials.secret)
    answer = await client.create(credentials=unknown)
    assert (answer.status, answer.problem) == (401, "credentials-rejected")
    assert client.server.users == 0


@pytest.mark.parametrize(
    "field",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic YWJj",
        "Basic AGFjbWU6c2VjcmV0",
        "Basic /////w==",
        "Bearer YTpi",
        "Digest YTpi",
        "Basic \xff\xfe",
    ],
)
async def test_credentials_that_are_none_are_rejected(client: PlainClient, field: str) -> None:
    answer = await client.ask("POST", "/v1/anonymous-users", {}, key=a_key(), headers={"Authorization": field})
    assert (answer.status, answer.problem) == (401, "credentials-rejected")


async def test_a_client_that_was_removed_is_rejected_at_once(client: PlainClient, server: IdentityServer) -> None:
    other = server.new_client()
    assert (await client.create(credentials=other)).status == 201
    server.remove_client(other)
    answer = await client.create(credentials=other)
    assert (answer.status, answer.problem) == (401, "credentials-rejected")
