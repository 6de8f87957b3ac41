"""The hot paths, for a count of instructions: no network, no other process, the same work in each run.

`os.getpgid` marks the borders: callgrind starts a new count where the C library's function of that name is called.
"""

import asyncio
import gc
import itertools
import logging
import os
import re
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from mimi_async import AnonymousId, AuthController, MimiCore
from mimi_async.secret import CreateKey
from mimi_async.stores import SQLiteStore, StoredIdentity

from .inside import announce, create_controllers, receive
from .server import CREDENTIALS

TIMES = 100
"""Calls in each count."""

PATHS = ("restore", "announcement", "claim", "present")
"""What the counts are of, in their order; before each there is one of its preparation."""

_USER_ID = "0" * 32
_KEY = CreateKey("0" * 64)
_ANONYMOUS_ID = "00000000-0000-0000-0000-000000000000"
_BODY = (
    f'{{"user":{{"id":"{_USER_ID}","is_anonymous":true,"year_of_birth":null,"sex":null,"latest_hearing_test":null}},'
    f'"access_token":"{"0" * 75}","expires_in":900}}'
).encode()
_EXCHANGE = re.compile(rb"\r\nMimi-Exchange: (\S+)", re.IGNORECASE)


class _Connector(aiohttp.BaseConnector):
    """Connections to a server that is a function: aiohttp works as with a socket, and the kernel does nothing."""

    async def _create_connection(self, *_: Any) -> ResponseHandler:
        protocol = self._factory()
        protocol.connection_made(_Connection(protocol))
        return protocol


class _Connection(asyncio.Transport):
    """Answers each request with the same session."""

    def __init__(self, protocol: ResponseHandler) -> None:
        super().__init__()
        self._protocol = protocol
        self._received = b""

    def write(self, data: Any) -> None:
        self._received += bytes(data)
        if self._received.endswith(b"}"):
            exchange = _EXCHANGE.search(self._received)
            assert exchange
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nMimi-Exchange: %b\r\n"
            reply = head % exchange[1] + b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY
            self._received = b""
            asyncio.get_running_loop().call_soon(self._protocol.data_received, reply)

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()


async def _count(call: Callable[[], Awaitable[object]]) -> None:
    """Make some calls that fill the caches, then those that are counted."""
    for _ in range(TIMES):
        await call()
    gc.collect()
    os.getpgid(0)
    for _ in range(TIMES):
        await call()
    os.getpgid(0)


async def main() -> None:
    """Run each path. The garbage collector runs between them, and not at a moment that an earlier path decides."""
    gc.disable()
    with tempfile.TemporaryDirectory() as folder:
        store = SQLiteStore(Path(folder, "ids.sqlite3"))
        async with aiohttp.ClientSession(connector=_Connector()) as session, store:
            await _count_all(store, session)


async def _count_all(store: SQLiteStore, session: aiohttp.ClientSession) -> None:
    active, pending = StoredIdentity.active(AnonymousId(_ANONYMOUS_ID), _USER_ID), StoredIdentity.pending(_KEY)
    for number in range(2 * TIMES + 1):
        await store.claim(f"account-{number}", active)
    core = MimiCore(CREDENTIALS, server="http://127.0.0.1:1", store=store, session=session, account="account-0")
    async with core:
        restored, new = itertools.count(1), itertools.count()
        await _count(lambda: core.auth_for(f"account-{next(restored)}"))
        shared, (auth,) = create_controllers(1)
        auth.observe(receive)
        await _count(lambda: announce(shared, auth))
        await _count(lambda: store.claim(f"new-{next(new)}", pending))
        await _count(lambda: core.present(_view))


async def _view(auth: AuthController) -> str:
    return auth.account


if __name__ == "__main__":
    logging.disable()
    asyncio.run(main())
