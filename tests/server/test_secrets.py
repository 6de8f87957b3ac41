"""No id, key, token or client secret is ever logged or shown, whatever happens."""

import asyncio
import logging

import pytest

from mimi_async.errors import StoreUnavailableError
from mimi_async.identity import ClientCredentials
from mimi_async.testing import IdentityServer

from ..proofs.canary import Canary
from .client import PlainClient, a_key, a_test
from .sockets import connection

CANARY = "canary-of-a-client-secret"


@pytest.fixture
def debugging(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


async def use_everything(client: PlainClient, server: IdentityServer) -> list[str]:
    """Do everything, well and badly; return every secret that was used."""
    key, test_key = a_key(), a_key()
    made = (await client.create(key)).json
    anonymous_id, token = made["anonymous_id"], made["access_token"]
    await client.create(key)
    await client.log_in(anonymous_id)
    await client.log_in(anonymous_id, ClientCredentials(server.credentials.client_id, CANARY))
    await client.log_in(anonymous_id + "0")
    await client.ask("POST", "/v1/sessions", {"x": anonymous_id}, credentials=server.credentials)
    await client.ask("GET", f"/v1/user/{anonymous_id}?token={token}", token=token)
    await client.ask("PATCH", "/v1/user", {"year_of_birth": anonymous_id}, token=token)
    await client.ask("PATCH", "/v1/user", {"year_of_birth": 1980}, token=token + "x")
    await client.submit(token, key=test_key)
    await client.submit(token, a_test(anonymous_id))
    await client.ask("GET", f"/v1/user/hearing-tests?cursor={anonymous_id}", token=token)
    await client.ask("GET", "/v1/user/export", token=token)
    async with connection(server) as (reader, writer):
        writer.write(f"GET / HTTP/1.1\r\nAuthorization: Basic {token}\x00\r\n\r\n".encode())
        await reader.read()
    await client.ask("DELETE", "/v1/user", token=token)
    await client.create(key)
    return [anonymous_id, token, key, test_key, CANARY, server.credentials.secret.reveal()]


async def test_nothing_is_logged_also_in_the_debug_mode_of_asyncio(
    client: PlainClient, server: IdentityServer, debugging: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0  # every callback is logged with its arguments
    secrets = await use_everything(client, server)
    assert "POST /v1/anonymous-users 201" in debugging.text
    assert "POST /v1/sessions 422: the field at $ is missing, unknown or invalid" in debugging.text
    assert "asyncio" in {record.name for record in debugging.records}
    canary = Canary()
    canary.add_client(server.credentials)
    for secret in secrets:
        canary.add_secret("secret", secret)
    assert canary.find_leaks(debugging.text) == set()


@pytest.mark.parametrize(
    ("error", "expected"),
    [(StoreUnavailableError, (503, "about:blank", "1")), (RuntimeError, (500, "about:blank", None))],
)
async def test_nothing_is_logged_when_the_database_or_the_code_fails(
    client: PlainClient,
    server: IdentityServer,
    debugging: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    expected: tuple[int, str, str | None],
) -> None:
    made = (await client.create()).json
    secrets = [made["anonymous_id"], made["access_token"], server.credentials.secret.reveal()]

    async def fail(*arguments: object, **_: object) -> None:
        msg = f"{arguments} {secrets}"
        raise error(msg)

    for verb in ("create", "find", "read", "change", "export", "add_test", "ping"):
        monkeypatch.setattr(server.context.repository, verb, fail)
    answers = [
        await client.submit(made["access_token"]),
        await client.ask("GET", "/readyz"),
        await client.create(),
        await client.log_in(made["anonymous_id"]),
        await client.ask("GET", "/v1/user", token=made["access_token"]),
        await client.ask("PATCH", "/v1/user", {}, token=made["access_token"]),
        await client.ask("GET", "/v1/user/export", token=made["access_token"]),
    ]
    assert {(answer.status, answer.problem, answer.headers.get("Retry-After")) for answer in answers} == {expected}
    assert (await client.ask("GET", "/healthz")).status == 200
    assert ("RuntimeError in fail" in debugging.text) == (error is RuntimeError)
    shown = debugging.text + "".join(answer.body.decode() for answer in answers)
    assert not [secret for secret in secrets if secret in shown]


async def test_no_part_of_the_server_shows_a_secret(client: PlainClient, server: IdentityServer) -> None:
    made = (await client.create()).json
    context = server.context
    parts = [context, context.keys, context.repository, context.limits, context.settings, server, server.credentials]
    shown = repr([*parts, server.requests])
    assert made["anonymous_id"] not in shown
    assert server.credentials.secret.reveal() not in shown
    assert context.keys.pepper.hex() not in shown
    assert repr(context.keys.pepper)[2:-1] not in shown
