"""The processes of the demo: two identity servers and three workers, on one PostgreSQL."""

import asyncio
import os
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Self

import asyncpg

from mimi_async import ClientCredentials, MimiCore
from mimi_async.stores import open_store
from tests.postgres_server import Postgres

from ...many_machines.accounts import SCHEMA
from ..processes import Process

SERVERS, WORKERS = 2, 3
_SERVER_KEYS = ("MIMI_ID_KEY", "MIMI_PEPPER", "MIMI_TOKEN_KEY")


class Member:
    """A process that is restarted at the same address."""

    def __init__(self, arguments: tuple[str, ...], environ: Mapping[str, str]) -> None:
        self.url = ""
        self._arguments = arguments
        self._environ = environ
        self._process: Process | None = None

    async def start(self) -> None:
        """Start the process, at its earlier port if it has one, and wait until it serves."""
        port = self.url.rpartition(":")[2] or "0"
        self._process = await Process.start(*self._arguments, "--port", port, environ=self._environ)
        self.url = await self._process.read_address()

    async def stop(self) -> int:
        """Stop the process gracefully; return its exit status."""
        return 0 if self._process is None else await self._process.stop()

    async def restart(self) -> int:
        """Stop and start the process; return the exit status."""
        status = await self.stop()
        await self.start()
        return status


class Stage:
    """All processes of the demo; `async with` starts and stops them.

    Attributes:
        servers: The identity servers, with one database and the same keys.
        workers: The partner's workers; they are spread over the servers in turn.
    """

    def __init__(self) -> None:
        self.servers: list[Member] = []
        self.workers: list[Member] = []
        self.credentials: ClientCredentials | None = None
        self._postgres = Postgres()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._start_postgres(stack)
            stack.push_async_callback(self._stop_all)
            await self._set_up()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def _start_postgres(self, stack: AsyncExitStack) -> None:
        """Start PostgreSQL in a thread. A cancellation waits for the thread, so that nothing is left."""
        starting = asyncio.create_task(asyncio.to_thread(stack.enter_context, self._postgres))
        try:
            await asyncio.shield(starting)
        finally:
            await starting

    async def _set_up(self) -> None:
        dsn = self._postgres.dsn
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MIMI_")}
        environ = inherited | {name: secrets.token_hex(32) for name in _SERVER_KEYS} | {"MIMI_DATABASE_URL": dsn}
        await self._run("mimi_async", "store", "init", dsn, environ=inherited)
        connection = await asyncpg.connect(dsn)
        await connection.execute(SCHEMA)
        await connection.close()
        added = await self._run("mimi_async", "clients", "add", "acme", "player", environ=environ)
        values = dict(line.split("=", 1) for line in added if line.startswith("MIMI_CLIENT_"))
        self.credentials = ClientCredentials(values["MIMI_CLIENT_ID"], values["MIMI_CLIENT_SECRET"])
        self.servers = [Member(("-m", "mimi_async", "serve", "--log-level", "error"), environ) for _ in range(SERVERS)]
        await asyncio.gather(*(server.start() for server in self.servers))
        environ = inherited | values | {"MIMI_STORE_URL": dsn, "PARTNER_DATABASE": dsn}
        for number in range(WORKERS):
            server = self.servers[number % SERVERS].url
            self.workers.append(Member(("-m", "examples.many_machines.worker"), environ | {"MIMI_SERVER": server}))
        await asyncio.gather(*(worker.start() for worker in self.workers))

    async def _run(self, module: str, *arguments: str, environ: Mapping[str, str]) -> list[str]:
        process = await Process.start("-m", module, *arguments, environ=environ)
        try:
            status = await process.wait()
        finally:
            await process.stop()
        if status != 0:
            msg = f"{module} {arguments[0]} failed: {' · '.join(process.lines[-3:])}"
            raise RuntimeError(msg)
        return process.lines

    async def _stop_all(self) -> None:
        for members in (self.workers, self.servers):
            await asyncio.gather(*(member.stop() for member in members), return_exceptions=True)

    def core(self) -> MimiCore:
        """Return a new core on the same store and server."""
        return MimiCore(
            self.credentials, server=self.servers[0].url, store=open_store(self._postgres.dsn), account=None
        )

    async def kept_ids(self) -> dict[str, str]:
        """Return the ids of the partner's table by account."""
        connection = await asyncpg.connect(self._postgres.dsn)
        try:
            rows = await connection.fetch("SELECT account, mimi_anonymous_id FROM partner_accounts")
        finally:
            await connection.close()
        return {row["account"]: row["mimi_anonymous_id"] for row in rows}

    async def users(self) -> int:
        """Return the number of users of the identity servers."""
        return int(await asyncio.to_thread(self._postgres.execute, "SELECT count(user_id) FROM mimi_server.users"))
