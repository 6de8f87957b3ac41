"""Every response, and the responses without a handler."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from mimi_async.testing import IdentityServer

from ..client import Answer, PlainClient, a_key


async def one_response_of_each_kind(client: PlainClient, headers: dict[str, str]) -> list[Answer]:
    token, credentials = await client.new_token(), client.server.credentials
    return [
        await client.ask("POST", "/v1/anonymous-users", {}, credentials=credentials, key=a_key(), headers=headers),
        await client.ask("POST", "/v1/anonymous-users", {}, key=a_key(), headers=headers),
        await client.ask("POST", "/v1/anonymous-users", b"{", credentials=credentials, key=a_key(), headers=headers),
        await client.ask("POST", "/v1/sessions", {}, credentials=credentials, headers=headers),
        await client.ask("GET", "/v1/user", token=token, headers=headers),
        await client.ask("GET", "/v1/user", token="x", headers=headers),
        await client.ask("PUT", "/v1/user", token=token, headers=headers),
        await client.ask("GET", "/nowhere", headers=headers),
        await client.ask("GET", "/healthz", headers=headers),
        await client.ask("DELETE", "/v1/user", token=token, headers=headers),
    ]


async def test_every_response_echoes_the_ids_of_its_request(client: PlainClient) -> None:
    headers = {"X-Request-ID": "call-17", "Mimi-Exchange": "0123456789abcdef"}
    for answer in await one_response_of_each_kind(client, headers):
        assert headers.items() <= answer.headers.items(), answer


async def test_no_response_is_cached_or_names_its_software_and_every_error_is_a_problem(client: PlainClient) -> None:
    for answer in await one_response_of_each_kind(client, {}):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Server"] == "mimi-async"
        assert "Mimi-Exchange" not in answer.headers
        assert len(answer.headers["X-Request-ID"]) == 16
        if answer.status >= 400:
            assert answer.problem
            assert answer.json.keys() == {"type", "title", "status", "detail", "request_id"}


@pytest.mark.parametrize("text", ["a b", "<script>", "x" * 129, "ä", "{}", '"'])
async def test_an_invalid_id_is_not_echoed(client: PlainClient, text: str) -> None:
    answer = await client.ask("GET", "/healthz", headers={"X-Request-ID": text, "Mimi-Exchange": text})
    assert text not in answer.headers["X-Request-ID"]
    assert "Mimi-Exchange" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/user/", "/v1/users", "/v1/user/x", "//v1/user", "/x?y"])
async def test_an_unknown_path_is_a_404_and_not_a_verdict(client: PlainClient, path: str) -> None:
    answer = await client.ask("GET", path)
    assert (answer.status, answer.problem) == (404, "unknown-path")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/anonymous-users", "POST"),
        ("DELETE", "/v1/sessions", "POST"),
        ("POST", "/v1/user", "GET, PATCH, DELETE, HEAD"),
        ("TRACE", "/v1/user", "GET, PATCH, DELETE, HEAD"),
        ("HEAD", "/v1/sessions", "POST"),
        ("OPTIONS", "/healthz", "GET, HEAD"),
        ("PUT", "/v1/user/hearing-tests", "GET, POST, HEAD"),
    ],
)
async def test_an_unknown_method_is_a_405_with_those_that_are_allowed(
    client: PlainClient, method: str, path: str, allowed: str
) -> None:
    answer = await client.ask(method, path)
    assert answer.status == 405
    assert answer.headers["Allow"] == allowed
    assert method == "HEAD" or answer.problem == "about:blank"


async def test_a_head_is_a_get_without_the_body(client: PlainClient) -> None:
    answer = await client.ask("HEAD", "/healthz")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("body", [b"", b"{", b"nope", b"\xff\xfe", b"{}{}", b"{}]", b'{"sex":"\xff"}'])
async def test_a_body_that_is_not_json_is_a_400(client: PlainClient, body: bytes) -> None:
    answer = await client.ask("PATCH", "/v1/user", body, token=await client.new_token())
    assert (answer.status, answer.problem) == (400, "about:blank")


@pytest.mark.parametrize(
    "fields", [{"Content-Type": "text/plain"}, {"Content-Type": "application/xml"}, {"Content-Encoding": "gzip"}]
)
async def test_another_media_type_or_a_content_coding_is_a_415(client: PlainClient, fields: dict[str, str]) -> None:
    answer = await client.ask("POST", "/v1/sessions", b"{}", credentials=client.server.credentials, headers=fields)
    assert (answer.status, answer.problem) == (415, "about:blank")


async def test_a_parameter_of_the_media_type_is_fine(client: PlainClient) -> None:
    token = await client.new_token()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert (await client.ask("PATCH", "/v1/user", {}, token=token, headers=headers)).status == 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_beyond_16_kib_is_a_413(client: PlainClient, *, chunked: bool) -> None:
    body = json.dumps({"anonymous_id": "x" * 17_000}).encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield body

    credentials = client.server.credentials
    basic = aiohttp.encode_basic_auth(credentials.client_id, credentials.secret.reveal())
    headers = {"Content-Type": "application/json", "Authorization": basic}
    data = pieces() if chunked else body
    async with client.session.post(client.server.url + "/v1/sessions", data=data, headers=headers) as reply:
        assert reply.status == 413
        assert reply.content_type == "application/problem+json"


async def test_a_body_of_16_kib_is_read(client: PlainClient) -> None:
    body = b"{" + b" " * (16 * 1024 - 2) + b"}"
    answer = await client.ask("PATCH", "/v1/user", body, token=await client.new_token())
    assert answer.status == 200


async def test_an_unserviceable_version_is_a_426(client: PlainClient, server: IdentityServer) -> None:
    server.make_unserviceable(lambda agent: agent == "mimi-async/0.0.1")
    token = await client.new_token()
    answer = await client.ask("GET", "/v1/user", token=token, headers={"User-Agent": "mimi-async/0.0.1"})
    assert (answer.status, answer.problem) == (426, "unserviceable")
    assert (await client.ask("GET", "/v1/user", token=token)).status == 200
    assert (await client.ask("GET", "/healthz", headers={"User-Agent": "mimi-async/0.0.1"})).status == 200


async def test_reports_its_health(client: PlainClient) -> None:
    assert (await client.ask("GET", "/healthz")).json == {"status": "alive"}
    assert (await client.ask("GET", "/readyz")).json == {"status": "ready"}
