"""Which addresses a server may have, and that a constructor opens nothing."""

from typing import Any

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


NO_TLS = "must begin with https://"
USAGE = r"such as 'https://identity\.example'"
NO_PATH = r"must end with its path.*'https://identity\.example'"


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ("http://identity.example", NO_TLS),
        ("http://10.0.0.1", NO_TLS),
        ("http://0.0.0.0", NO_TLS),
        ("http://[::2]", NO_TLS),
        ("http://localhost.evil.example", NO_TLS),
        ("http://127.0.0.1.evil.example", NO_TLS),
        ("http://128.0.0.1", NO_TLS),
        ("http://[::ffff:127.0.0.1]", NO_TLS),
        ("", USAGE),
        ("identity.example", USAGE),
        ("ftp://identity.example", USAGE),
        ("https://", USAGE),
        ("https://h:99999", USAGE),
        (7, USAGE),
        ("https://me:hush@identity.example", "give ClientCredentials instead"),
        ("https://hush@identity.example", "give ClientCredentials instead"),
        ("https://identity.example?key=hush", NO_PATH),
        ("https://identity.example#hush", NO_PATH),
        ("https://identity.example/mimi?#", NO_PATH),
    ],
)
def test_refuses_another_address_with_the_reason_and_without_quoting_a_secret(server: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        Transport(server, CREDENTIALS)
    assert "hush" not in repr(caught.value)


async def test_keeps_the_path_of_the_address() -> None:
    async with ScriptedServer(reply()) as server, Transport(f"{server.url}/mimi/", CREDENTIALS) as transport:
        await transport.send(LOG_IN)
    assert server.asked[0].path == "/mimi/v1/sessions"


def test_shows_no_secret_of_its_own() -> None:
    transport = Transport("https://identity.example", CREDENTIALS)
    assert repr(transport) == "Transport('https://identity.example')"
