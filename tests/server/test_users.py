"""GET, PATCH and DELETE /v1/user, and the token that they need."""

import asyncio
import base64
import time

import pytest

from mimi_async.server.keys import Keys
from mimi_async.testing import IdentityServer

from .client import PlainClient, a_test

DATABASES = ["sqlite", "postgresql"]
LATEST = time.gmtime().tm_year - 18


async def test_a_change_is_kept(client: PlainClient) -> None:
    made = (await client.create()).json
    token = made["access_token"]
    changed = await client.ask("PATCH", "/v1/user", {"year_of_birth": 1980, "sex": "female"}, token=token)
    assert changed.status == 200
    assert changed.json == made["user"] | {"year_of_birth": 1980, "sex": "female"}
    assert (await client.ask("GET", "/v1/user", token=token)).json == changed.json


async def test_an_absent_field_is_kept_and_null_clears(client: PlainClient) -> None:
    token = await client.new_token()
    await client.ask("PATCH", "/v1/user", {"year_of_birth": 1980, "sex": "male"}, token=token)
    assert (await client.ask("PATCH", "/v1/user", {}, token=token)).json["year_of_birth"] == 1980
    answer = await client.ask("PATCH", "/v1/user", {"sex": None}, token=token)
    assert (answer.json["year_of_birth"], answer.json["sex"]) == (1980, None)


@pytest.mark.parametrize("year", [1900, LATEST])
async def test_adults_are_accepted(client: PlainClient, year: int) -> None:
    token = await client.new_token()
    assert (await client.ask("PATCH", "/v1/user", {"year_of_birth": year}, token=token)).status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"year_of_birth": 1899},
        {"year_of_birth": LATEST + 1},
        {"year_of_birth": 1980.5},
        {"year_of_birth": "1980"},
        {"year_of_birth": True},
        {"year_of_birth": 10**30},
        {"sex": "other"},
        {"sex": ""},
        {"name": "Ada"},
        {"year_of_birth": 1980, "email": "ada@example.org"},
        {"is_anonymous": False},
        [],
    ],
)
async def test_a_wrong_or_unknown_field_changes_nothing(client: PlainClient, changes: object) -> None:
    made = (await client.create()).json
    answer = await client.ask("PATCH", "/v1/user", changes, token=made["access_token"])
    assert (answer.status, answer.problem) == (422, "invalid-input")
    assert "Ada" not in answer.json["detail"]
    assert (await client.ask("GET", "/v1/user", token=made["access_token"])).json == made["user"]


async def test_changes_of_one_user_are_not_seen_by_another(client: PlainClient) -> None:
    token, other = await client.new_token(), await client.new_token()
    await client.ask("PATCH", "/v1/user", {"year_of_birth": 1980}, token=token)
    assert (await client.ask("GET", "/v1/user", token=other)).json["year_of_birth"] is None


async def test_an_erasure_is_immediate_for_every_token(client: PlainClient) -> None:
    made = (await client.create()).json
    other_token = (await client.log_in(made["anonymous_id"])).json["access_token"]
    answer = await client.ask("DELETE", "/v1/user", token=made["access_token"])
    assert (answer.status, answer.body) == (204, b"")
    for method, path, body in (
        ("GET", "/v1/user", None),
        ("PATCH", "/v1/user", {"sex": "male"}),
        ("PATCH", "/v1/user", {}),
        ("DELETE", "/v1/user", None),
        ("GET", "/v1/user/export", None),
        ("GET", "/v1/user/hearing-tests", None),
        ("POST", "/v1/user/hearing-tests", a_test()),
    ):
        answer = await client.ask(method, path, body, token=other_token, key="k" * 64)
        assert (answer.status, answer.problem) == (401, "token-rejected"), (method, path)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


async def test_a_token_that_this_server_did_not_sign_is_rejected(client: PlainClient) -> None:
    token = await client.new_token()
    content = bytearray(base64.urlsafe_b64decode(token + "="))
    content[3] ^= 1
    forged = base64.urlsafe_b64encode(content).decode().rstrip("=")
    other_keys = Keys(id_key=b"i" * 32, pepper=b"p" * 32, token_keys=(b"t" * 32,))
    foreign = other_keys.sign_token("0" * 32, time.time() + 60).reveal()
    for wrong in ("", "x", token[:-1], token + "A", forged, foreign, "%", "=" * 75, "ä" * 75):
        answer = await client.ask("GET", "/v1/user", token=wrong)
        assert (answer.status, answer.problem) == (401, "token-rejected"), wrong


async def test_a_token_expires(client: PlainClient, server: IdentityServer) -> None:
    made = (await client.create()).json
    context = server.context
    now = time.time()
    for age, status in ((890, 200), (901, 401)):
        context.clock = lambda age=age: now + age  # type: ignore[misc]
        assert (await client.ask("GET", "/v1/user", token=made["access_token"])).status == status
    assert (await client.log_in(made["anonymous_id"])).status == 200


async def test_tokens_live_as_long_as_they_say() -> None:
    keys = Keys(id_key=b"i" * 32, pepper=b"p" * 32, token_keys=(b"t" * 32,))
    token = keys.sign_token("ab" * 16, 1000.5).reveal()
    assert keys.verify_token(token, 1000.4) == "ab" * 16
    assert keys.verify_token(token, 1000.5) is None


async def test_revoked_tokens_are_rejected_and_a_log_in_gets_a_fresh_one(
    client: PlainClient, server: IdentityServer
) -> None:
    made = (await client.create()).json
    server.revoke_tokens()
    assert (await client.ask("GET", "/v1/user", token=made["access_token"])).problem == "token-rejected"
    token = (await client.log_in(made["anonymous_id"])).json["access_token"]
    assert (await client.ask("GET", "/v1/user", token=token)).status == 200


async def test_many_changes_at_the_same_time_all_end(client: PlainClient) -> None:
    tokens = [await client.new_token() for _ in range(5)]
    answers = await asyncio.gather(
        *(client.ask("PATCH", "/v1/user", {"year_of_birth": 1950 + n}, token=tokens[n % 5]) for n in range(50))
    )
    assert {answer.status for answer in answers} == {200}
