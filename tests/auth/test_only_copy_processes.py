"""The only known copy of an id survives log-outs of other workers, and a kill at any point of a log-out."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from mimi_async import MimiUser
from mimi_async.stores import SQLiteStore

from .host_with_ids import Host, core_of
from .launches import App


async def test_two_workers_on_one_store_keep_one_user(app: App, host: Host, tmp_path: Path) -> None:
    host.may_write.clear()
    path = tmp_path / "two.sqlite3"
    one = core_of(app, host, with_known_id=True, store=SQLiteStore(path), account=None)
    two = core_of(app, host, with_known_id=True, store=SQLiteStore(path), account=None)
    async with one, two:
        auth = await one.auth_for("bea")
        making = asyncio.create_task(auth.ensure_user())
        await host.has_begun.wait()

        async def leave_and_return() -> MimiUser:
            there = await two.auth_for("bea")
            await there.log_out()
            return await there.ensure_user()

        returning_user = asyncio.create_task(leave_and_return())
        await asyncio.sleep(0)
        host.may_write.set()
        assert (await making).id == (await returning_user).id
    assert app.server.users == 1


CHILD = """
import asyncio, os, signal, sys
from mimi_async import ClientCredentials, MimiCore
from mimi_async.stores import SQLiteStore

async def main(server, client_id, path):
    writing = asyncio.Event()

    async def remember(auth, /, **_):
        writing.set()
        await asyncio.Event().wait()

    store = SQLiteStore(path)
    async with MimiCore(ClientCredentials(client_id, sys.stdin.readline().strip()), server=server, store=store) as core:
        core.observe(remember)
        making = asyncio.create_task(core.auth.ensure_user())
        await writing.wait()
        leaving = asyncio.create_task(core.auth.log_out())
        for _ in range(100):
            await asyncio.sleep(0.001)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_process_killed_between_log_out_and_write_leaves_the_id_in_the_store(app: App, tmp_path: Path) -> None:
    path = tmp_path / "killed.sqlite3"
    credentials = app.server.credentials
    command = [sys.executable, "-c", CHILD, app.server.url, credentials.client_id, str(path)]
    child = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, env=dict(os.environ))
    await child.communicate(credentials.secret.reveal().encode() + b"\n")
    assert child.returncode == -signal.SIGKILL
    async with SQLiteStore(path) as store:
        record = await store.load("default")
    assert record is not None
    assert record.state == "active"
