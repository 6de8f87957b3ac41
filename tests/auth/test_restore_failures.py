"""A failure that is not a verdict keeps the record and shuts the gate; the next call tries again."""

import contextlib
import json
import socket
from collections.abc import Callable
from typing import Any

import aiohttp
import attrs
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from mimi_async import (
    AnonymityViolationError,
    CredentialsRejectedError,
    InsecureServerError,
    InvalidInputError,
    MimiError,
    NotStartedError,
    ProtocolError,
    ServerBusyError,
    ServerTimeoutError,
    ServerUnreachableError,
    Timeouts,
    UnserviceableError,
    wire,
)
from mimi_async.testing import IdentityServer, SentReply

from ..internals import context_of
from .launches import ENTRIES, App

SESSIONS = "/v1/sessions"
PROBLEM = "application/problem+json"

Settings = dict[str, Any]


@attrs.frozen
class Failure:
    """How a log-in fails, as what, and after how many requests that the server saw."""

    error: type[MimiError]
    plan: Callable[[IdentityServer], None] = lambda _: None
    requests: int = 1
    settings: Callable[[IdentityServer], Settings] = lambda _: {}


def fails(
    status: int, error: type[MimiError], requests: int = 1, problem: str | None = None, **headers: str
) -> Failure:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}

    def plan(server: IdentityServer) -> None:
        server.fail(SESSIONS, status=status, times=None, headers=fields, problem=problem)

    return Failure(error, plan, requests)


def rewritten(error: type[MimiError], **changes: Any) -> Failure:
    return changed(error, lambda reply: attrs.evolve(reply, **changes))


def changed(error: type[MimiError], change: Callable[[SentReply], SentReply]) -> Failure:
    return Failure(error, lambda server: server.rewrite(SESSIONS, change, times=None))


def with_user(**fields: Any) -> Callable[[SentReply], SentReply]:
    def change(reply: SentReply) -> SentReply:
        session = json.loads(reply.body)
        session["user"] |= fields
        return attrs.evolve(reply, body=json.dumps(session).encode())

    return change


def with_headers(**fields: str) -> Callable[[SentReply], SentReply]:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return lambda reply: attrs.evolve(reply, headers={**reply.headers, **headers})


def of_another_exchange(problem: str) -> Callable[[SentReply], SentReply]:
    body = json.dumps({"type": f"urn:mimi-async:{problem}", "title": "", "status": 0}).encode()
    status = {"unknown-anonymous-id": 404, "erased": 410}[problem]
    headers = {"Content-Type": PROBLEM, "Mimi-Exchange": "0" * 16}
    return lambda reply: attrs.evolve(reply, status=status, headers=headers, body=body)


def problem_with_status(problem: str, status: int) -> Callable[[SentReply], SentReply]:
    body = json.dumps({"type": f"urn:mimi-async:{problem}", "title": "", "status": status}).encode()
    return lambda reply: attrs.evolve(
        reply, status=status, headers={**reply.headers, "Content-Type": PROBLEM}, body=body
    )


class NoSuchName(AbstractResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self) -> None:
        return None


def _nowhere(_: IdentityServer) -> Settings:
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=NoSuchName()))
    return {"server": "https://identity.invalid", "session": session}


def _deaf_port(_: IdentityServer) -> Settings:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return {"server": f"http://127.0.0.1:{listener.getsockname()[1]}"}


def _wrong_secret(server: IdentityServer) -> Settings:
    return {"credentials": attrs.evolve(server.credentials, secret="not the secret")}


FAILURES = {
    "refused": Failure(ServerUnreachableError, settings=_deaf_port, requests=0),
    "reset": Failure(ServerUnreachableError, lambda server: server.drop_request(SESSIONS, times=None), 3),
    "reply lost": Failure(ServerUnreachableError, lambda server: server.drop_reply(SESSIONS, times=None), 3),
    "no such name": Failure(ServerUnreachableError, settings=_nowhere, requests=0),
    "timeout": Failure(
        ServerTimeoutError,
        lambda server: server.delay(SESSIONS, 2),
        3,
        settings=lambda _: {"timeouts": Timeouts(attempt=0.5, retry_base=0.0)},
    ),
    "no TLS": Failure(
        InsecureServerError, settings=lambda server: {"server": server.url.replace("http:", "https:")}, requests=0
    ),
    "408": fails(408, ServerBusyError, 3),
    "425": fails(425, ServerBusyError, 3),
    "429": fails(429, ServerBusyError, 3),
    "500": fails(500, ServerBusyError, 3),
    "502": fails(502, ServerBusyError, 3),
    "503": fails(503, ServerBusyError, 3),
    "503 for an hour": fails(503, ServerBusyError, 1, Retry_After="3600"),
    "599": fails(599, ServerBusyError, 3),
    **{f"a stranger's {status}": fails(status, ProtocolError) for status in (400, 401, 402, 403, 404, 405, 407)},
    **{f"a stranger's {status}": fails(status, ProtocolError) for status in (409, 410, 413, 415, 422, 426, 451)},
    **{f"redirect {status}": fails(status, ProtocolError, Location=SESSIONS) for status in (301, 302, 303, 307, 308)},
    "a 204": rewritten(ProtocolError, status=204, body=b""),
    "a 201": rewritten(ProtocolError, status=201),
    "empty": rewritten(ProtocolError, body=b""),
    "a portal's page": rewritten(ProtocolError, body=b"<html>Welcome to the train's network</html>"),
    "cut JSON": rewritten(ProtocolError, body=b'{"user": {"id"'),
    "no UTF-8": rewritten(ProtocolError, body=b'{"user": "\xff"}'),
    "too deep": rewritten(ProtocolError, body=b"[" * 10_000),
    "no user": rewritten(ProtocolError, body=b'{"user": null, "access_token": "t", "expires_in": 900}'),
    "half a user": changed(ProtocolError, with_user(year_of_birth="1980")),
    "no object": rewritten(ProtocolError, body=b"[]"),
    "too large": rewritten(ProtocolError, body=b" " * 70_000),
    "encoded": changed(ProtocolError, with_headers(Content_Encoding="gzip")),
    "another exchange": changed(ProtocolError, with_headers(Mimi_Exchange="0" * 16)),
    "another exchange's 404": changed(ProtocolError, of_another_exchange("unknown-anonymous-id")),
    "another exchange's 410": changed(ProtocolError, of_another_exchange("erased")),
    "another subject": changed(ProtocolError, with_user(id="0" * 32)),
    "our 404 as a 403": changed(ProtocolError, problem_with_status("unknown-anonymous-id", 403)),
    "our 410 as a 404": changed(ProtocolError, problem_with_status("erased", 404)),
    "a named user": changed(AnonymityViolationError, with_user(is_anonymous=False)),
    "an e-mail": changed(AnonymityViolationError, with_user(email="jo@example.com")),
    "a name that is null": changed(AnonymityViolationError, with_user(name=None)),
    "wrong secret": Failure(CredentialsRejectedError, settings=_wrong_secret),
    "client not allowed": fails(403, CredentialsRejectedError, problem="client-not-allowed"),
    "invalid input": fails(422, InvalidInputError, problem="invalid-input"),
    "unserviceable": fails(426, UnserviceableError, problem="unserviceable"),
}  # fmt: skip


@pytest.fixture
def failure(request: pytest.FixtureRequest) -> Failure:
    return FAILURES[str(request.param)]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize("failure", FAILURES, indirect=True)
async def test_keeps_the_record_and_shuts_the_gate_when_it_gets_no_verdict(app: App, failure: Failure) -> None:
    user = await app.first_launch()
    kept = await app.record()
    failure.plan(app.server)
    for entry in ENTRIES:
        app.clear_records()
        settings = failure.settings(app.server)
        async with settings.get("session", contextlib.nullcontext()), app.restore(entry, **settings) as restored:
            assert type(restored.error) is failure.error
            assert restored.has_started is (entry != "start")
            restored.assert_shut()
            assert app.observer.kinds == [(None, None, failure.error)]
            assert app.asked == [("POST", SESSIONS)] * failure.requests
        assert app.store.writes == []
        assert await app.record() == kept
    app.server.clear_faults()
    async with app.core() as core:
        assert core.auth.current_user == user
    assert await app.record() == kept
    assert app.server.users == 1


@pytest.mark.parametrize("store", ["memory"], indirect=True)
@pytest.mark.parametrize("failure", ["reset", "503", "a stranger's 404", "another subject"], indirect=True)
async def test_the_next_call_after_a_failure_that_may_pass_tries_again(app: App, failure: Failure) -> None:
    user = await app.first_launch()
    failure.plan(app.server)
    async with app.restore("auth_for") as restored:
        with pytest.raises(failure.error):
            await restored.auth.ensure_user()
        app.server.clear_faults()
        assert await restored.auth.ensure_user() == user
        assert restored.auth.gate.is_open
    assert app.observer.kinds == [(None, None, failure.error), (None, None, failure.error), (user, None, None)]
    assert app.store.writes == []
    assert app.server.users == 1


@pytest.mark.parametrize("store", ["memory"], indirect=True)
@pytest.mark.parametrize("failure", ["wrong secret", "a named user", "invalid input"], indirect=True)
async def test_a_failure_that_can_not_pass_is_raised_again_without_a_request(app: App, failure: Failure) -> None:
    await app.first_launch()
    failure.plan(app.server)
    async with app.restore("auth_for", **failure.settings(app.server)) as restored:
        with pytest.raises(failure.error) as caught:
            await restored.auth.ensure_user()
        assert caught.value is not restored.error
        assert app.asked == [("POST", SESSIONS)]
    assert len(app.observer.updates) == 1


@pytest.mark.parametrize("store", ["memory"], indirect=True)
async def test_a_start_that_fails_closes_what_it_had_opened(app: App) -> None:
    user = await app.first_launch()
    app.server.fail(times=None)
    entered = app.store.is_entered
    async with app.restore("start") as restored:
        assert app.store.is_entered == entered
        with pytest.raises(NotStartedError, match="async with core"):
            await restored.auth.ensure_user()
        with pytest.raises(NotStartedError):
            await context_of(restored.core).sources.send(wire.log_in(user.anonymous_id))
