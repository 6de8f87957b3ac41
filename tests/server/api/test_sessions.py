"""POST /v1/sessions: an anonymousId opens a session, for the clients of its partner."""

import pytest

from mimi_async.identity import ClientCredentials
from mimi_async.testing import IdentityServer

from ..client import PlainClient, a_key

DATABASES = ["sqlite", "postgresql"]
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


async def test_the_id_opens_a_session_also_in_capital_digits_and_for_another_product(
    client: PlainClient, server: IdentityServer
) -> None:
    made = (await client.create()).json
    answer = await client.log_in(made["anonymous_id"])
    assert answer.status == 200
    assert answer.json.keys() == {"user", "access_token", "expires_in"}
    assert answer.json["user"] == made["user"]
    seen = await client.ask("GET", "/v1/user", token=answer.json["access_token"])
    assert seen.json == made["user"]
    assert (await client.log_in(made["anonymous_id"].upper())).json["user"] == made["user"]
    assert (await client.log_in(made["anonymous_id"], server.new_client())).json["user"] == made["user"]


async def test_an_unknown_id_is_a_404_of_the_contract(client: PlainClient) -> None:
    answer = await client.log_in(UNKNOWN_ID)
    assert (answer.status, answer.problem) == (404, "unknown-anonymous-id")
    assert client.server.users == 0


async def test_an_erased_id_is_a_410(client: PlainClient) -> None:
    made = (await client.create()).json
    await client.ask("DELETE", "/v1/user", token=made["access_token"])
    answer = await client.log_in(made["anonymous_id"])
    assert (answer.status, answer.problem) == (410, "erased")


async def test_a_key_of_another_product_of_the_partner_is_a_replay(client: PlainClient, server: IdentityServer) -> None:
    key = a_key()
    made = (await client.create(key)).json
    replay = await client.create(key, server.new_client())
    assert (replay.status, replay.json["anonymous_id"]) == (200, made["anonymous_id"])


@pytest.mark.parametrize("erased", [False, True])
async def test_an_id_is_unknown_to_another_partner(
    client: PlainClient, server: IdentityServer, *, erased: bool
) -> None:
    made = (await client.create()).json
    if erased:
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


async def test_a_body_that_is_not_a_log_in_is_refused_without_quoting_it(client: PlainClient) -> None:
    texts = (UNKNOWN_ID[:-1], UNKNOWN_ID + "0", UNKNOWN_ID.replace("-", ""), "g" + UNKNOWN_ID[1:])
    bodies: list[object] = [{"anonymous_id": text} for text in (*texts, None)]
    for body in (*bodies, {}, {"anonymous_id": UNKNOWN_ID, "email": "a@b"}, [UNKNOWN_ID]):
        answer = await client.ask("POST", "/v1/sessions", body, credentials=client.server.credentials)
        assert (answer.status, answer.problem) == (422, "invalid-input"), body
        assert "0000" not in answer.json["detail"]
