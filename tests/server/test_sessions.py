"""POST /v1/sessions: who has the id has the user, within one partner."""

import pytest

from mimi_async.identity import ClientCredentials
from mimi_async.testing import IdentityServer

from .client import PlainClient, a_key

BOOKS = ["sqlite", "postgresql"]
STRANGER = "00000000-0000-4000-8000-000000000000"


async def test_the_id_opens_a_session(client: PlainClient) -> None:
    made = (await client.create()).json
    answer = await client.log_in(made["anonymous_id"])
    assert answer.status == 200
    assert answer.json.keys() == {"user", "access_token", "expires_in"}
    assert answer.json["user"] == made["user"]
    seen = await client.ask("GET", "/v1/user", token=answer.json["access_token"])
    assert seen.json == made["user"]


async def test_capital_digits_are_the_same_id(client: PlainClient) -> None:
    made = (await client.create()).json
    assert (await client.log_in(made["anonymous_id"].upper())).json["user"] == made["user"]


async def test_an_unknown_id_is_a_404_of_ours(client: PlainClient) -> None:
    answer = await client.log_in(STRANGER)
    assert (answer.status, answer.problem) == (404, "unknown-anonymous-id")
    assert client.server.users == 0


async def test_an_erased_id_is_a_410(client: PlainClient) -> None:
    made = (await client.create()).json
    await client.ask("DELETE", "/v1/user", token=made["access_token"])
    answer = await client.log_in(made["anonymous_id"])
    assert (answer.status, answer.problem) == (410, "erased")


async def test_another_product_of_the_partner_finds_the_user(client: PlainClient, server: IdentityServer) -> None:
    made = (await client.create()).json
    assert (await client.log_in(made["anonymous_id"], server.new_client())).json["user"] == made["user"]


async def test_a_key_of_another_product_of_the_partner_is_a_replay(client: PlainClient, server: IdentityServer) -> None:
    key = a_key()
    made = (await client.create(key)).json
    replay = await client.create(key, server.new_client())
    assert (replay.status, replay.json["anonymous_id"]) == (200, made["anonymous_id"])


async def test_an_id_is_unknown_to_another_partner(client: PlainClient, server: IdentityServer) -> None:
    made = (await client.create()).json
    answer = await client.log_in(made["anonymous_id"], server.new_client("other"))
    assert (answer.status, answer.problem) == (404, "unknown-anonymous-id")


async def test_an_erased_id_is_unknown_to_another_partner(client: PlainClient, server: IdentityServer) -> None:
    made = (await client.create()).json
    await client.ask("DELETE", "/v1/user", token=made["access_token"])
    answer = await client.log_in(made["anonymous_id"], server.new_client("other"))
    assert (answer.status, answer.problem) == (404, "unknown-anonymous-id")


async def test_a_key_of_another_partner_makes_another_user(client: PlainClient, server: IdentityServer) -> None:
    key = a_key()
    ours, theirs = await client.create(key), await client.create(key, server.new_client("other"))
    assert (ours.status, theirs.status) == (201, 201)
    assert ours.json["anonymous_id"] != theirs.json["anonymous_id"]
    assert server.users == 2


async def test_a_wrong_secret_opens_nothing(client: PlainClient, server: IdentityServer) -> None:
    made = (await client.create()).json
    answer = await client.log_in(made["anonymous_id"], ClientCredentials(server.credentials.client_id, "wrong"))
    assert (answer.status, answer.problem) == (401, "credentials-rejected")


@pytest.mark.parametrize(
    "text", ["", "x", STRANGER[:-1], STRANGER + "0", STRANGER.replace("-", ""), "g" + STRANGER[1:]]
)
async def test_an_id_of_another_shape_is_refused(client: PlainClient, text: str) -> None:
    answer = await client.log_in(text)
    assert (answer.status, answer.problem) == (422, "invalid-input")
    assert text not in answer.json["detail"] or not text


@pytest.mark.parametrize("body", [{}, {"anonymous_id": None}, {"anonymous_id": STRANGER, "email": "a@b"}, [STRANGER]])
async def test_a_body_that_is_no_log_in_is_refused(client: PlainClient, body: object) -> None:
    answer = await client.ask("POST", "/v1/sessions", body, credentials=client.server.credentials)
    assert (answer.status, answer.problem) == (422, "invalid-input")
