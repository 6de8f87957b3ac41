"""The pytest plugin of mimi_async: the fixture `mimi_server`.

It lies beside the package, and imports it only when the fixture is used: loading the plugin costs nothing.

    async def test_remembers_the_user(mimi_server):
        async with MimiCore(mimi_server.credentials, server=mimi_server.url, store=MemoryStore()) as core:
            await core.auth.ensure_user()
        assert mimi_server.users == 1
"""

import asyncio
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mimi_async.testing import IdentityServer


@pytest.fixture
def mimi_server() -> "Iterator[IdentityServer]":
    """A real identity server on a free port of loopback, with data and faults of its own: `mimi_async.testing`.

    It lives in a thread and an event loop of its own, so that it serves any kind of test: of pytest-asyncio, of anyio,
    or without any loop. Its `hold` is for tests that enter an `IdentityServer` in their own loop.
    """
    from mimi_async.testing import IdentityServer

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="mimi-server", daemon=True)
    thread.start()
    server = IdentityServer()
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
        yield server
        asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
