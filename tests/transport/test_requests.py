"""What goes out."""

import base64
from importlib.metadata import version

from mimi_async import wire
from mimi_async.identity import ClientCredentials
from mimi_async.secret import AccessToken, CreateKey
from mimi_async.transport import Transport

from .doubles import LOG_IN, To
from .script import ScriptedServer, reply

TOKEN = AccessToken("token-1")


async def test_authenticates_the_client_where_there_is_no_token() -> None:
    credentials = ClientCredentials("spieler-ä", "geheim-ü")
    async with ScriptedServer(reply()) as server, Transport(server.url, credentials) as transport:
        await transport.send(LOG_IN)
    kind, _, text = server.asked[0].headers["authorization"].partition(" ")
    assert kind == "Basic"
    assert base64.b64decode(text).decode() == "spieler-ä:geheim-ü"


async def test_authenticates_the_user_where_there_is_a_token(transport_to: To) -> None:
    async with ScriptedServer(reply()) as server, transport_to(server.url) as transport:
        await transport.send(wire.get_user(TOKEN))
    asked = server.asked[0]
    assert (asked.method, asked.path, asked.body) == ("GET", "/v1/user", b"")
    assert asked.headers["authorization"] == "Bearer token-1"
    assert "content-type" not in asked.headers


async def test_sends_the_idempotency_key_and_the_body_as_it_is(transport_to: To) -> None:
    key = CreateKey.generate()
    async with ScriptedServer(reply(201)) as server, transport_to(server.url) as transport:
        await transport.send(wire.create_user(key))
    asked = server.asked[0]
    assert (asked.method, asked.path, asked.body) == ("POST", "/v1/anonymous-users", b"{}")
    assert asked.headers["idempotency-key"] == key.reveal()
    assert asked.headers["content-type"] == "application/json"


async def test_sends_a_cursor_as_the_contract_has_encoded_it(transport_to: To) -> None:
    async with ScriptedServer(reply()) as server, transport_to(server.url) as transport:
        await transport.send(wire.list_tests("a/b c%+ü", TOKEN))
    assert server.asked[0].path == "/v1/user/hearing-tests?cursor=a%2Fb%20c%25%2B%C3%BC"


async def test_asks_for_no_encoding_and_sends_its_user_agent(transport_to: To) -> None:
    async with ScriptedServer(reply()) as server, transport_to(server.url) as transport:
        await transport.send(LOG_IN)
    headers = server.asked[0].headers
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"] == f"mimi-async/{version('mimi-async')}"


async def test_a_call_has_one_request_id_and_each_attempt_its_own_exchange(transport_to: To) -> None:
    async with ScriptedServer(reply(503), reply(503), reply()) as server, transport_to(server.url) as transport:
        last = await transport.send(LOG_IN)
        await transport.send(LOG_IN)
    ids = [asked.headers["x-request-id"] for asked in server.asked]
    exchanges = [asked.headers["mimi-exchange"] for asked in server.asked]
    assert ids[0] == ids[1] == ids[2] == last.request_id != ids[3]
    assert len(set(exchanges)) == 4


async def test_uses_one_connection_for_calls_that_follow_each_other(transport_to: To) -> None:
    async with ScriptedServer(reply(), reply(404), reply(204, b"")) as server, transport_to(server.url) as transport:
        for _ in range(4):
            await transport.send(LOG_IN)
    assert server.connections == 1
