"""The public test kit: what it makes fail, fails as it says, and nothing else does."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import aiohttp
import attrs
import pytest

from mimi_async.errors import ConfigurationError
from mimi_async.testing import IdentityServer, SentReply

from ..server.client import PlainClient, a_key

SESSIONS, USERS = "/v1/sessions", "/v1/anonymous-users"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


async def test_a_failure_applies_to_the_given_number_of_requests(client: PlainClient, server: IdentityServer) -> None:
    server.fail(SESSIONS, status=503, times=2, headers={"Retry-After": "7"})
    answers = [await client.log_in(UNKNOWN_ID) for _ in range(3)]
    assert [answer.status for answer in answers] == [503, 503, 404]
    assert answers[0].headers["Retry-After"] == "7"
    assert answers[0].problem == "about:blank"


async def test_a_failure_processes_nothing_and_answers_as_the_server_would(
    client: PlainClient, server: IdentityServer
) -> None:
    server.fail(USERS, problem="erased")
    headers = {"Mimi-Exchange": "nonce"}
    answer = await client.ask("POST", USERS, {}, credentials=server.credentials, key=a_key(), headers=headers)
    assert (answer.status, answer.problem, answer.headers["Mimi-Exchange"]) == (410, "erased", "nonce")
    assert server.users == 0


async def test_a_fault_is_for_its_path_and_method_alone(client: PlainClient, server: IdentityServer) -> None:
    token = await client.new_token()
    server.fail("/v1/user", method="PATCH", times=None)
    assert (await client.ask("GET", "/v1/user", token=token)).status == 200
    assert (await client.ask("PATCH", "/v1/user", {}, token=token)).status == 503
    assert (await client.create()).status == 201
    server.clear_faults()
    assert (await client.ask("PATCH", "/v1/user", {}, token=token)).status == 200


async def test_a_dropped_reply_was_processed_and_a_dropped_request_was_not(
    client: PlainClient, server: IdentityServer
) -> None:
    for drop in (server.drop_reply, server.drop_request):
        drop(USERS)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.create()
        assert server.users == 1
    assert [request.status for request in server.requests] == [None, None]


async def test_faults_that_are_planned_one_after_another_happen_one_after_another(
    client: PlainClient, server: IdentityServer
) -> None:
    server.fail(USERS, status=500)
    server.drop_reply()
    assert (await client.create()).status == 500
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.create()
    assert (await client.create()).status == 201


async def test_a_delay_comes_before_the_processing(client: PlainClient, server: IdentityServer) -> None:
    server.delay(USERS, 0.2)
    creation = asyncio.create_task(client.create())
    await asyncio.wait([creation], timeout=0.1)
    assert (creation.done(), server.users) == (False, 0)
    assert (await creation).status == 201


async def test_a_reply_can_be_rewritten(client: PlainClient, server: IdentityServer) -> None:
    def renamed(reply: SentReply) -> SentReply:
        assert "anonymous_id" not in repr(reply)
        body = reply.body.replace(b'"is_anonymous":true', b'"is_anonymous":false')
        return attrs.evolve(reply, status=299, body=body, headers={**reply.headers, "Mimi-Exchange": "other"})

    server.rewrite(USERS, renamed)
    answer = await client.create()
    assert (answer.status, answer.headers["Mimi-Exchange"]) == (299, "other")
    assert answer.json["user"]["is_anonymous"] is False
    assert (await client.create()).status == 201


@pytest.mark.parametrize("processed", [False, True])
async def test_requests_can_be_held(client: PlainClient, server: IdentityServer, *, processed: bool) -> None:
    async with server.hold(USERS, processed=processed) as held:
        creation = asyncio.create_task(client.create())
        await held.arrived.wait()
        assert (held.count, server.users, creation.done()) == (1, int(processed), False)
    assert (await creation).status == 201
    assert (await client.create()).status == 201


async def test_records_the_received_requests(client: PlainClient, server: IdentityServer) -> None:
    await client.create()
    await client.ask("GET", "/v1/user/hearing-tests?cursor=x", token="x")
    seen = [(request.method, request.path, request.status) for request in server.requests]
    assert seen == [("POST", USERS, 201), ("GET", "/v1/user/hearing-tests", 401)]


async def test_a_restart_keeps_port_and_data(client: PlainClient, server: IdentityServer) -> None:
    url, made = server.url, (await client.create()).json
    await server.stop()
    await server.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.create()
    assert server.users == 1
    other = server.new_client()
    await server.start()
    assert server.url == url
    assert (await client.log_in(made["anonymous_id"], other)).status == 200


async def test_the_folder_goes_with_it() -> None:
    async with IdentityServer() as server:
        folder = server.database.parent
        assert folder.is_dir()
    assert not Path(folder).exists()


def test_before_it_is_entered_it_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match="enter the IdentityServer first"):
        _ = IdentityServer().url


def test_the_fixture_serves_a_test_without_a_loop(mimi_server: IdentityServer) -> None:
    async def use() -> None:
        async with aiohttp.ClientSession() as session:
            client = PlainClient(mimi_server, session)
            mimi_server.fail(USERS)
            assert [(await client.create()).status for _ in range(2)] == [503, 201]
            await mimi_server.stop()
            await mimi_server.start()
            assert (await client.create()).status == 201

    asyncio.run(use())
    assert mimi_server.users == 2
    assert any(thread.name == "mimi-server" for thread in threading.enumerate())


async def test_the_fixture_serves_a_test_with_a_loop(mimi_server: IdentityServer) -> None:
    async with aiohttp.ClientSession() as session:
        assert (await PlainClient(mimi_server, session).create()).status == 201
    await mimi_server.stop()


def test_loading_the_plugin_imports_nothing_heavy() -> None:
    code = "import sys, mimi_async_pytest; print({'aiohttp', 'mimi_async'} & sys.modules.keys())"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout == "set()\n"
