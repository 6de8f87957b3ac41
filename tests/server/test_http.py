"""What is true of every answer, and what is answered where there is no handler."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from mimi_async.errors import StoreUnavailableError
from mimi_async.testing import IdentityServer

from .client import Answer, PlainClient, a_key, a_test


async def every_kind_of_answer(client: PlainClient, headers: dict[str, str]) -> list[Answer]:
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


async def test_every_answer_echoes_the_ids_of_its_request(client: PlainClient) -> None:
    headers = {"X-Request-ID": "call-17", "Mimi-Exchange": "0123456789abcdef"}
    for answer in await every_kind_of_answer(client, headers):
        assert headers.items() <= answer.headers.items(), answer


async def test_no_answer_is_cached_or_tells_what_it_is_made_with(client: PlainClient) -> None:
    for answer in await every_kind_of_answer(client, {}):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Server"] == "mimi-async"
        assert "Mimi-Exchange" not in answer.headers
        assert len(answer.headers["X-Request-ID"]) == 16


@pytest.mark.parametrize("text", ["a b", "<script>", "x" * 129, "ä", "{}", '"'])
async def test_what_is_not_fit_to_be_echoed_is_not(client: PlainClient, text: str) -> None:
    answer = await client.ask("GET", "/healthz", headers={"X-Request-ID": text, "Mimi-Exchange": text})
    assert text not in answer.headers["X-Request-ID"]
    assert "Mimi-Exchange" not in answer.headers


async def test_every_error_is_a_problem(client: PlainClient) -> None:
    for answer in await every_kind_of_answer(client, {}):
        if answer.status >= 400:
            assert answer.problem
            assert answer.json.keys() == {"type", "title", "status", "detail", "request_id"}


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/user/", "/v1/users", "/v1/user/x", "//v1/user", "/x?y"])
async def test_an_unknown_path_is_a_404_that_is_no_verdict(client: PlainClient, path: str) -> None:
    answer = await client.ask("GET", path)
    assert (answer.status, answer.problem) == (404, "about:blank")


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
async def test_a_body_that_is_no_json_is_a_400(client: PlainClient, body: bytes) -> None:
    answer = await client.ask("PATCH", "/v1/user", body, token=await client.new_token())
    assert (answer.status, answer.problem) == (400, "about:blank")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream"])
async def test_another_media_type_is_a_415(client: PlainClient, media_type: str) -> None:
    credentials = client.server.credentials
    headers = {"Content-Type": media_type}
    answer = await client.ask("POST", "/v1/sessions", b"{}", credentials=credentials, headers=headers)
    assert (answer.status, answer.problem) == (415, "about:blank")


async def test_a_content_coding_is_a_415(client: PlainClient) -> None:
    credentials = client.server.credentials
    headers = {"Content-Encoding": "gzip"}
    answer = await client.ask("POST", "/v1/sessions", b"{}", credentials=credentials, headers=headers)
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

    headers = {
        "Content-Type": "application/json",
        "Authorization": aiohttp.encode_basic_auth(*secret_of(client.server)),
    }
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


async def test_it_tells_how_it_is(client: PlainClient) -> None:
    assert (await client.ask("GET", "/healthz")).json == {"status": "alive"}
    assert (await client.ask("GET", "/readyz")).json == {"status": "ready"}


async def test_a_database_that_fails_is_a_503_and_not_a_verdict(client: PlainClient, server: IdentityServer) -> None:
    made = (await client.create()).json
    desk = server._entered().desk

    async def fails(*_: object, **__: object) -> None:
        msg = "locked"
        raise StoreUnavailableError(msg)

    for verb in ("create", "find", "read", "add_test", "ping"):
        setattr(desk.book, verb, fails)
    for answer in (
        await client.create(),
        await client.log_in(made["anonymous_id"]),
        await client.ask("GET", "/v1/user", token=made["access_token"]),
        await client.submit(made["access_token"], a_test()),
        await client.ask("GET", "/readyz"),
    ):
        assert (answer.status, answer.problem, answer.headers["Retry-After"]) == (503, "about:blank", "1")
    assert (await client.ask("GET", "/healthz")).status == 200


async def test_a_defect_is_a_500_that_tells_nothing(
    client: PlainClient, server: IdentityServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def defect(*_: object, **__: object) -> None:
        msg = "the secret is hunter2"
        raise LookupError(msg)

    server._entered().desk.book.find = defect  # type: ignore[method-assign,assignment]
    answer = await client.log_in("00000000-0000-4000-8000-000000000000")
    assert (answer.status, answer.problem) == (500, "about:blank")
    assert "LookupError in defect" in caplog.text
    assert "hunter2" not in caplog.text + answer.body.decode()
    assert (await client.create()).status == 201


def secret_of(server: IdentityServer) -> tuple[str, str]:
    return server.credentials.client_id, server.credentials.secret.reveal()
