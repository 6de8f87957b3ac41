"""The client secret, the key, the id and the token stay out of logs, exceptions and tracebacks."""

import asyncio
import base64
import logging
import traceback

import aiohttp
import attrs
import pytest

from mimi_async import wire
from mimi_async.errors import MimiError
from mimi_async.secret import AccessToken, CreateKey

from .doubles import CREDENTIALS, ID, LOG_IN, To
from .script import Answer, ScriptedServer, raw, reply, reset

KEY = CreateKey("c0ffee" * 10 + "cafe")
TOKEN = AccessToken("canary-token")
CANARIES = (
    CREDENTIALS.secret.reveal(),
    base64.b64encode(b"acme-player:canary-secret").decode(),
    KEY.reveal(),
    TOKEN.reveal(),
    ID.reveal(),
    "canary-body",
)
BODY = b'{"id": "canary-body"}'
FAULTS: dict[str, Answer] = {
    "reset": reset,
    "half a head": raw(b"HTTP/1.1 200 canary-body\r\nX: canary-body"),
    "half a body": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + BODY),
    "no HTTP": raw(b"HTTP/1.1 canary-body\r\n\r\n"),
    "another exchange": reply(200, BODY, {"Mimi-Exchange": "another"}),
    "too large": reply(200, BODY * 9),
    "encoded": reply(200, BODY, {"Content-Encoding": "gzip"}),
    "redirect": reply(307, BODY, {"Location": "https://canary-body.example"}),
    "busy": reply(503, BODY, {"Retry-After": "99"}),
}
REQUESTS = {
    "log in": LOG_IN,
    "create": wire.create_user(KEY),
    "get": wire.get_user(TOKEN),
}


def everything_in(error: BaseException) -> str:
    """Return all that a host could log about an exception: chain, arguments, state, locals of its frames."""
    lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
    return "".join((*lines, repr(error), str(error), repr(error.args), repr(error.__dict__)))


@pytest.fixture
async def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    return caplog


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_no_fault_shows_a_secret(
    fault: Answer, request_: wire.Request, transport_to: To, everything_logged: pytest.LogCaptureFixture
) -> None:
    async with ScriptedServer(fault) as server, transport_to(server.url) as transport:
        with pytest.raises(MimiError) as caught:
            await transport.send(attrs.evolve(request_, limit=100))
        shown = everything_in(caught.value) + everything_logged.text + repr(transport)
    assert [canary for canary in CANARIES if canary in shown] == []
    assert "send" in shown
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


async def test_a_refused_connection_has_no_context_either(transport_to: To) -> None:
    async with ScriptedServer(reset) as server:
        url = server.url
    async with transport_to(url) as transport:
        with pytest.raises(MimiError) as caught:
            await transport.send(LOG_IN)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


async def test_a_header_that_http_forbids_is_refused_without_being_shown(transport_to: To) -> None:
    request = wire.create_user(CreateKey("canary-body\r\nX-Other: 1"))
    async with ScriptedServer(reply()) as server, transport_to(server.url) as transport:
        with pytest.raises(MimiError, match="a header holds invalid characters") as caught:
            await transport.send(request)
    assert server.asked == []
    shown = everything_in(caught.value)
    assert "canary-body" not in shown


def test_an_exception_of_aiohttp_would_show_a_secret() -> None:
    """This is why no exception of aiohttp may be a cause or a context."""
    headers = {"Authorization": "canary-secret"}
    info = aiohttp.RequestInfo("https://h", "GET", headers, "https://h")  # type: ignore[arg-type]
    assert "canary-secret" in repr(aiohttp.ClientResponseError(info, ()))
