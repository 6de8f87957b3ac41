"""Which addresses a server may have, and that a constructor opens nothing."""

import pytest

from mimi_async.errors import ConfigurationError
from mimi_async.transport import Transport

from .doubles import CREDENTIALS, LOG_IN
from .script import ScriptedServer, reply


@pytest.mark.parametrize(
    "server",
    [
        "https://identity.example",
        "https://identity.example:8443/mimi/",
        "HTTPS://Identity.Example",
        "http://127.0.0.1:8080",
        "http://127.200.3.4",
        "http://[::1]:8080",
        "http://localhost:8080",
    ],
)
def test_takes_https_anywhere_and_http_on_this_machine(server: str) -> None:
    Transport(server, CREDENTIALS)


@pytest.mark.parametrize(
    "server",
    [
        "http://identity.example",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://[::2]",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://128.0.0.1",
    ],
)
def test_refuses_http_beyond_this_machine(server: str) -> None:
    with pytest.raises(ConfigurationError, match="must begin with https://"):
        Transport(server, CREDENTIALS)


@pytest.mark.parametrize(
    "server", ["", "identity.example", "ftp://identity.example", "https://", "https://h:99999", "/"]
)
def test_refuses_what_is_no_address(server: str) -> None:
    with pytest.raises(ConfigurationError, match=r"such as 'https://identity\.example'"):
        Transport(server, CREDENTIALS)


def test_refuses_what_is_no_text() -> None:
    with pytest.raises(ConfigurationError, match="is named by its address"):
        Transport(None, CREDENTIALS)  # type: ignore[arg-type]


@pytest.mark.parametrize("server", ["https://me:hush@identity.example", "https://hush@identity.example"])
def test_refuses_a_password_in_the_address_without_quoting_it(server: str) -> None:
    with pytest.raises(ConfigurationError, match="give ClientCredentials instead") as caught:
        Transport(server, CREDENTIALS)
    assert "hush" not in repr(caught.value)


@pytest.mark.parametrize("rest", ["?key=hush", "#hush", "?", "/mimi?#"])
def test_refuses_a_query_or_a_fragment_without_quoting_it(rest: str) -> None:
    with pytest.raises(ConfigurationError, match=r"must end with its path.*'https://identity\.example'") as caught:
        Transport("https://identity.example" + rest, CREDENTIALS)
    assert "hush" not in repr(caught.value)


async def test_keeps_the_path_of_the_address() -> None:
    async with ScriptedServer(reply()) as server, Transport(f"{server.url}/mimi/", CREDENTIALS) as transport:
        await transport.send(LOG_IN)
    assert server.asked[0].path == "/mimi/v1/sessions"


def test_shows_no_secret_of_its_own() -> None:
    transport = Transport("https://identity.example", CREDENTIALS)
    assert repr(transport) == "Transport('https://identity.example')"
