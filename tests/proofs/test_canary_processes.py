"""The canary over processes: what they write to stdout and stderr, at DEBUG, asyncio's debug mode on."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mimi_async import ClientCredentials, LogInAnonymously, MimiCore, wire
from mimi_async.stores import MemoryStore, SQLiteStore
from mimi_async.testing import IdentityServer
from mimi_async.transport import Transport

from .canary import Canary, CanaryStore
from .conftest import Figures, JobOf
from .journal import Journal
from .nursery import KILLED, Nursery

LOUD = """
import logging
logging.basicConfig(level=logging.DEBUG)
from mimi_async.__main__ import main
main()
"""
POINTS = [None, "after claim", "POST /v1/anonymous-users answered", "before active", "while telling"]


async def test_hosts_that_run_and_hosts_that_are_killed_write_no_secret(
    server: IdentityServer, nursery: Nursery, job_of: JobOf, figures: Figures
) -> None:
    canary = Canary()
    canary.learn_client(server.credentials)
    jobs = [
        job_of(do, "a", at=f"{number}-{do}", point=point, is_loud=True, asks_host=True)
        for do in ("ensure", "reset")
        for number, point in enumerate(POINTS)
    ]
    assert await nursery.run_all(jobs) == {KILLED, 0}
    for job in jobs:
        for line in Journal(job["journal"]).lines():
            if line["id"] is not None:
                canary.learn("announced id", line["id"])
        async with SQLiteStore(job["store"]) as store:
            canary.learn_record(await store.load("a"))
    said = nursery.said()
    assert "DEBUG:asyncio" in said
    assert canary.sings(said) == set()
    figures.add(secrets=canary.figures["secrets"], characters_written=len(said), secrets_shown=0)


@asynccontextmanager
async def serving(place: Path) -> AsyncIterator[tuple[str, list[str]]]:
    """Run `mimi-async serve` as its own process; yields its address, and what it has written once it has ended."""
    command = [sys.executable, "-c", LOUD, "serve", "--port", "0", "--database", f"sqlite:///{place / 'users.sqlite3'}"]
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, "PYTHONASYNCIODEBUG": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    written: list[str] = []
    while not (written and written[-1].startswith("serving ")):
        written.append((await process.stdout.readline()).decode())
        assert written[-1], "it ended early"
    rest = asyncio.create_task(process.stdout.read())
    try:
        yield written[-1].split()[1], written
    finally:
        process.terminate()
        written.append((await rest).decode())
        assert await process.wait() == 0


async def test_a_server_writes_no_secret(tmp_path: Path, figures: Figures) -> None:
    canary = Canary()
    credentials = ClientCredentials("mimi-dev", "mimi-dev-secret")
    wrong = ClientCredentials("mimi-dev", "not-the-secret-of-anybody")
    for client in (credentials, wrong):
        canary.learn_client(client)
    async with serving(tmp_path) as (url, written):
        async with Transport(url, credentials) as transport:
            store = CanaryStore(MemoryStore(), canary)
            async with MimiCore(send=canary.sending(transport.send), store=store) as core:
                user = await core.auth.ensure_user()
                await core.auth.update_user(year_of_birth=1980)
                await core.auth.export_data()
                await core.auth.log_out()
                await core.auth.authenticate(LogInAnonymously(user.anonymous_id))
                await core.auth.reset()
        async with Transport(url, wrong) as transport:
            assert (await transport.send(wire.log_in(user.anonymous_id))).status == 401
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        secret = user.anonymous_id.reveal()
        writer.write(f"GET /{secret} HTTP/1.1\r\nHost: x\r\nAuthorization {secret}\r\n\r\n".encode())
        await reader.read()
        writer.close()
    assert "POST /v1/sessions 200" in written[-1]
    assert canary.sings(*written) == set()
    figures.add(secrets=canary.figures["secrets"], characters_written=sum(map(len, written)), secrets_shown=0)
