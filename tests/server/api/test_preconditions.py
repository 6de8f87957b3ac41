"""ETag, If-None-Match and If-Match of /v1/user (RFC 9110): nothing is sent twice, and nothing is overwritten unseen."""

import asyncio
import re

import pytest
from aiohttp import hdrs

from ..client import Answer, PlainClient

DATABASES = ["sqlite", "postgresql"]
USER = "/v1/user"


async def ask(client: PlainClient, token: str, method: str = "GET", body: object = None, **fields: str) -> Answer:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return await client.ask(method, USER, body, token=token, headers=headers)


async def version(client: PlainClient, token: str) -> str:
    return (await ask(client, token)).headers[hdrs.ETAG]


async def test_a_user_has_a_strong_version_that_changes_with_what_is_shown(client: PlainClient) -> None:
    token = await client.new_token()
    seen = [await version(client, token)]
    assert re.fullmatch('"[0-9a-f]{32}"', seen[0])
    changed = await ask(client, token, "PATCH", {"year_of_birth": 1980})
    seen.append(changed.headers[hdrs.ETAG])
    assert await version(client, token) == seen[-1]
    test = (await client.submit(token)).json["id"]
    seen.append(await version(client, token))
    assert len(set(seen)) == 3
    await client.ask("DELETE", f"/v1/user/hearing-tests/{test}", token=token)
    assert await version(client, token) == seen[1]


async def test_users_with_the_same_data_have_different_versions(client: PlainClient) -> None:
    assert len({await version(client, await client.new_token()) for _ in range(3)}) == 3


@pytest.mark.parametrize("named", ["{}", "W/{}", '"x", {}', '"x",{},W/"y"', "*"])
async def test_a_version_that_is_known_is_not_sent_again(named: str, client: PlainClient) -> None:
    token = await client.new_token()
    known = await version(client, token)
    answer = await ask(client, token, If_None_Match=named.format(known), Mimi_Exchange="e-1", X_Request_ID="r-1")
    assert (answer.status, answer.body, answer.headers[hdrs.ETAG]) == (304, b"", known)
    assert (answer.headers["Mimi-Exchange"], answer.headers["X-Request-ID"]) == ("e-1", "r-1")
    assert "Content-Type" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    await ask(client, token, "PATCH", {"sex": "male"})
    answer = await ask(client, token, If_None_Match=named.format(known))
    assert answer.status == (304 if named == "*" else 200)


@pytest.mark.parametrize("named", ['"x"', "", "x", '"', 'W/"x"', '"*"'])
async def test_a_user_of_another_version_is_sent(named: str, client: PlainClient) -> None:
    token = await client.new_token()
    answer = await ask(client, token, If_None_Match=named)
    assert (answer.status, answer.json["is_anonymous"]) == (200, True)


async def test_a_version_that_is_known_does_not_authenticate(client: PlainClient) -> None:
    answer = await client.ask("GET", USER, headers={"If-None-Match": "*"})
    assert answer.problem == "token-rejected"


@pytest.mark.parametrize("named", ["{}", '"x", {}', "*"])
async def test_a_change_of_the_expected_version_is_made(named: str, client: PlainClient) -> None:
    token = await client.new_token()
    known = await version(client, token)
    answer = await ask(client, token, "PATCH", {"sex": "female"}, If_Match=named.format(known))
    assert (answer.status, answer.json["sex"]) == (200, "female")
    assert answer.headers[hdrs.ETAG] == await version(client, token)


@pytest.mark.parametrize("named", ["{}", 'W/"x"', "W/{}", "", "x", '"*"'])
@pytest.mark.parametrize("body", [{"year_of_birth": 1970}, {"sex": None, "year_of_birth": 1970}, {}])
async def test_a_change_of_another_version_is_a_conflict_and_changes_nothing(
    named: str, body: dict[str, object], client: PlainClient
) -> None:
    token = await client.new_token()
    known = await version(client, token)
    current = await ask(client, token, "PATCH", {"year_of_birth": 1980})
    if named.startswith("W/{"):
        known = current.headers[hdrs.ETAG]  # a weak one is never the same
    answer = await ask(client, token, "PATCH", body, If_Match=named.format(known))
    assert (answer.status, answer.problem) == (412, "conflict")
    assert (await ask(client, token)).json == current.json


async def test_a_new_hearing_test_is_a_change_of_the_version(client: PlainClient) -> None:
    token = await client.new_token()
    known = await version(client, token)
    await client.submit(token)
    assert (await ask(client, token, "PATCH", {"sex": "male"}, If_Match=known)).problem == "conflict"


async def test_a_repeated_change_after_a_lost_reply_is_not_a_conflict(client: PlainClient) -> None:
    """RFC 9110, 13.1.1: a change that was made already may be answered as if it were made now."""
    token = await client.new_token()
    known, body = await version(client, token), {"year_of_birth": 1980}
    first, again = [await ask(client, token, "PATCH", body, If_Match=known) for _ in range(2)]
    assert (first.status, again.status) == (200, 200)
    assert (first.body, first.headers[hdrs.ETAG]) == (again.body, again.headers[hdrs.ETAG])


async def test_of_changes_at_the_same_time_one_is_made(client: PlainClient) -> None:
    token = await client.new_token()
    known = await version(client, token)
    changes = [ask(client, token, "PATCH", {"year_of_birth": 1950 + n}, If_Match=known) for n in range(20)]
    answers = await asyncio.gather(*changes)
    assert sorted(answer.status for answer in answers) == [200] + [412] * 19
    made = next(answer for answer in answers if answer.status == 200)
    assert (await ask(client, token)).json == made.json


async def test_a_change_that_meets_a_new_hearing_test_is_made_before_it_or_not_at_all(client: PlainClient) -> None:
    for _ in range(10):
        token = await client.new_token()
        known = await version(client, token)
        change = ask(client, token, "PATCH", {"sex": "male"}, If_Match=known)
        changed, kept = await asyncio.gather(change, client.submit(token))
        assert kept.status == 201
        assert changed.status in (200, 412)
        assert (await ask(client, token)).json["sex"] == ("male" if changed.status == 200 else None)


async def test_a_change_without_a_version_is_made_whatever_there_is(client: PlainClient) -> None:
    token = await client.new_token()
    await ask(client, token, "PATCH", {"year_of_birth": 1980})
    assert (await ask(client, token, "PATCH", {"year_of_birth": 1970})).json["year_of_birth"] == 1970


async def test_a_change_of_an_erased_user_is_not_a_conflict(client: PlainClient) -> None:
    token = await client.new_token()
    known = await version(client, token)
    await ask(client, token, "DELETE")
    for named in (known, '"x"', "*"):
        assert (await ask(client, token, "PATCH", {"sex": "male"}, If_Match=named)).problem == "token-rejected"
