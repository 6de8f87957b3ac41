"""No process writes a secret to stdout or stderr, at DEBUG and in asyncio's debug mode."""

import asyncio
import signal
import sys
from pathlib import Path

from mimi_async import ClientCredentials, LogInAnonymously, MimiCore, wire
from mimi_async.secret import ClientSecret
from mimi_async.server.users.repository import DEV_CLIENT
from mimi_async.stores import MemoryStore, SQLiteStore
from mimi_async.transport import Transport

from ..fork_server import KILLED
from ..server.processes import serving
from .canary import Canary, CanaryStore
from .conftest import Figures, Hosts
from .journal import Journal

LOUD = "import logging; logging.basicConfig(level=logging.DEBUG); from mimi_async.__main__ import main; main()"
POINTS = [None, "after claim", "POST /v1/anonymous-users answered", "before replace", "during delivery"]


async def test_hosts_write_no_secret_killed_or_not(hosts: Hosts, figures: Figures) -> None:
    canary = Canary()
    canary.add_client(hosts.server.credentials)
    jobs = [
        hosts.job(do, "a", at=f"{number}-{do}", point=point, is_loud=True, asks_host=True)
        for do in ("ensure", "reset")
        for number, point in enumerate(POINTS)
    ]
    assert await hosts.fork_server.run_all(jobs) == {KILLED, 0}
    for job in jobs:
        for line in Journal(job["journal"]).lines():
            if line["id"] is not None:
                canary.add_secret("announced id", line["id"])
        async with SQLiteStore(job["store"]) as store:
            canary.add_record(await store.load("a"))
    output = hosts.fork_server.read_stderr()
    assert "DEBUG:asyncio" in output
    assert canary.find_leaks(output) == set()
    figures.add(secrets=canary.figures["secrets"], characters_written=len(output), secrets_shown=0)


async def test_a_server_writes_no_secret(tmp_path: Path, figures: Figures) -> None:
    canary = Canary()
    credentials, wrong = DEV_CLIENT, ClientCredentials(DEV_CLIENT.client_id, ClientSecret("not-the-secret"))
    for client in (credentials, wrong):
        canary.add_client(client)
    loud = {"PYTHONASYNCIODEBUG": "1"}
    async with serving(tmp_path / "users.sqlite3", environ=loud, command=(sys.executable, "-c", LOUD)) as server:
        async with Transport(server.url, credentials) as transport:
            store = CanaryStore(MemoryStore(), canary)
            async with MimiCore(send=canary.wrap_send(transport.send), store=store) as core:
                user = await core.auth.ensure_user()
                await core.auth.update_user(year_of_birth=1980)
                await core.auth.export_data()
                await core.auth.log_out(discard_id=True)
                await core.auth.authenticate(LogInAnonymously(user.anonymous_id))
                await core.auth.reset()
        async with Transport(server.url, wrong) as transport:
            assert (await transport.send(wire.log_in(user.anonymous_id))).status == 401
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        secret = user.anonymous_id.reveal()
        writer.write(f"GET /{secret} HTTP/1.1\r\nHost: x\r\nAuthorization {secret}\r\n\r\n".encode())
        await reader.read()
        writer.close()
        ended = await server.end(signal.SIGTERM)
    assert "POST /v1/sessions 200" in ended.err
    assert canary.find_leaks(server.line, ended.out, ended.err) == set()
    figures.add(secrets=canary.figures["secrets"], characters_written=len(ended.out + ended.err), secrets_shown=0)
