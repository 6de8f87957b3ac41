"""Servers in processes of their own, as clients meet them."""

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from mimi_async import ClientCredentials

CREDENTIALS = ClientCredentials("mimi-dev", "mimi-dev-secret")
"""The client of a server whose database is new."""


@contextlib.asynccontextmanager
async def reference_server(folder: Path) -> AsyncIterator[str]:
    """Run the reference server on a database in this folder; yields its address."""
    database = f"sqlite:///{folder / 'users.sqlite3'}"
    async with process("-m", "mimi_async", "serve", "--database", database, "--port") as url:
        yield url


@contextlib.asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[str]:
    """Run Python with these arguments and a port, until it answers and is needed no more; yields its address."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    server = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, str(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(20), aiohttp.ClientSession() as session:
            while not await _answers(session, url):
                if server.returncode is not None:
                    msg = f"the server ended with status {server.returncode}: {' '.join(arguments)}"
                    raise RuntimeError(msg)
                await asyncio.sleep(0.05)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.terminate()
        await server.wait()


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/readyz") as reply:
            return reply.status == 200
    except aiohttp.ClientConnectionError:
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
