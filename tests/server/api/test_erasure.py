"""An erasure, an export, and what happens at the same moment."""

import asyncio
import datetime as dt

from mimi_async.testing import IdentityServer

from ..client import PlainClient, a_key, a_test

DATABASES = ["sqlite", "postgresql"]


async def test_an_erasure_leaves_other_users_alone(client: PlainClient, server: IdentityServer) -> None:
    token, other = await client.new_token(), await client.new_token()
    await client.submit(other)
    await client.ask("DELETE", "/v1/user", token=token)
    assert server.users == 1
    assert (await client.ask("GET", "/v1/user", token=other)).json["latest_hearing_test"] is not None


async def test_a_replay_during_an_erasure_creates_no_user(client: PlainClient, server: IdentityServer) -> None:
    for _ in range(10):
        key = a_key()
        token = (await client.create(key)).json["access_token"]
        replays = (client.create(key) for _ in range(5))
        await asyncio.gather(client.ask("DELETE", "/v1/user", token=token), *replays)
        assert (await client.create(key)).problem == "erased"
    assert server.users == 0


async def test_an_export_holds_everything(client: PlainClient) -> None:
    made_at = dt.datetime.now(dt.UTC).isoformat()
    made = (await client.create()).json
    token = made["access_token"]
    await client.ask("PATCH", "/v1/user", {"year_of_birth": 1980}, token=token)
    tests = [(await client.submit(token, a_test(f"2026-03-{day:02}T00:00:00Z"))).json for day in range(1, 31)]
    tests += [(await client.submit(token, a_test(f"2026-05-{day:02}T00:00:00Z"))).json for day in range(1, 31)]
    export = await client.ask("GET", "/v1/user/export", token=token)
    assert export.status == 200
    for test in tests:
        assert test.pop("is_latest")
    held = export.json["hearing_tests"]
    assert min(test.pop("received_at") for test in held) > made_at
    assert export.json["user"] == made["user"] | {"year_of_birth": 1980, "latest_hearing_test": tests[-1]}
    assert held == tests[::-1]
    assert export.json["created_at"].endswith("Z")
    assert export.json.keys() == {"user", "created_at", "hearing_tests"}
    assert made["anonymous_id"] not in export.body.decode()
