"""HTTP Basic for clients, Bearer for users."""

import pytest

from mimi_async.identity import ClientCredentials
from mimi_async.testing import IdentityServer

from ..client import PlainClient, a_key

DATABASES = ["sqlite", "postgresql"]


async def test_a_wrong_secret_or_an_unknown_client_creates_no_user(client: PlainClient) -> None:
    known = client.server.credentials
    for wrong in (ClientCredentials(known.client_id, "wrong"), ClientCredentials("unknown", known.secret)):
        answer = await client.create(credentials=wrong)
        assert (answer.status, answer.problem) == (401, "credentials-rejected")
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert client.server.users == 0


async def test_malformed_credentials_are_rejected_before_the_body_is_read(client: PlainClient) -> None:
    malformed = ("", "Basic", "Basic !!!", "Basic YWJj", "Basic /////w==", "Basic \xff\xfe")
    for field in (*malformed, "Bearer YTpi", "Digest YTpi"):
        answer = await client.ask("POST", "/v1/anonymous-users", b"{", key=a_key(), headers={"Authorization": field})
        assert (answer.status, answer.problem) == (401, "credentials-rejected"), field


async def test_credentials_with_a_control_character_are_rejected(client: PlainClient) -> None:
    headers = {"Authorization": "Basic AGFjbWU6c2VjcmV0"}
    assert (await client.ask("POST", "/v1/anonymous-users", {}, key=a_key(), headers=headers)).status == 401


async def test_a_client_that_was_removed_is_rejected_at_once(client: PlainClient, server: IdentityServer) -> None:
    other = server.new_client()
    assert (await client.create(credentials=other)).status == 201
    server.remove_client(other)
    answer = await client.create(credentials=other)
    assert (answer.status, answer.problem) == (401, "credentials-rejected")


@pytest.mark.parametrize("scheme", ["", "Basic ", "Digest "])
async def test_a_token_is_accepted_as_bearer_only(client: PlainClient, scheme: str) -> None:
    token = await client.new_token()
    answer = await client.ask("GET", "/v1/user", headers={"Authorization": f"{scheme}{token}"})
    assert (answer.status, answer.problem) == (401, "token-rejected")
    assert (await client.ask("GET", "/v1/user", headers={"Authorization": f"bearer {token}"})).status == 200
