"""Servers in separate processes."""

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp

from mimi_async import ClientCredentials

CREDENTIALS = ClientCredentials("mimi-dev", "mimi-dev-secret")
"""The client of a server whose database is new."""

_KEYS = ("MIMI_ID_KEY", "MIMI_PEPPER", "MIMI_TOKEN_KEY")


@contextlib.asynccontextmanager
async def reference_server(folder: Path, *, postgres: str | None = None, workers: int = 1) -> AsyncIterator[str]:
    """Run the reference server; yield its address.

    Args:
        folder: Where its SQLite database is.
        postgres: The address of its PostgreSQL database instead.
        workers: Number of its processes.
    """
    database = postgres or f"sqlite:///{folder / 'users.sqlite3'}"
    keys = {name: secrets.token_hex(32) for name in _KEYS} if postgres else {}
    arguments = ("-m", "mimi_async", "serve", "--database", database)
    async with process(sys.executable, *arguments, "--workers", str(workers), "--port", extra=keys) as url:
        yield url


@contextlib.asynccontextmanager
async def process(
    *command: str, path: str = "/readyz", cwd: Path | None = None, extra: Mapping[str, str] | None = None
) -> AsyncIterator[str]:
    """Run a command that gets a port as its last argument; wait until it answers, and yield its address."""
    port = free_port()
    async with started(*command, str(port), url=f"http://127.0.0.1:{port}", path=path, cwd=cwd, extra=extra) as url:
        yield url


@contextlib.asynccontextmanager
async def started(
    *command: str, url: str, path: str, cwd: Path | None = None, extra: Mapping[str, str] | None = None
) -> AsyncIterator[str]:
    """Run a command until the end; wait until its address answers a GET of the path by 200, and yield the address."""
    server = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=cwd, env={**os.environ, **(extra or {})}
    )
    try:
        async with asyncio.timeout(120), aiohttp.ClientSession() as session:
            while not await _answers(session, url + path):
                if server.returncode is not None:
                    msg = f"the server ended with status {server.returncode}: {' '.join(command)}"
                    raise RuntimeError(msg)
                await asyncio.sleep(0.05)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.terminate()
        await server.wait()


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as reply:
            return reply.status == 200
    except aiohttp.ClientConnectionError:
        return False


def free_port() -> int:
    """Return a port of this machine that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
