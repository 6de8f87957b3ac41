"""Anonymous sign-ins over a slow network, against supabase_auth."""

import asyncio
import contextlib
import importlib.util
import itertools
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from mimi_async import MimiCore
from mimi_async.stores import SQLiteStore
from mimi_async.wire import EXCHANGE

from .accounts import at_once
from .harness import Batch, Line, Scale, SkippedError, alternate
from .server import CREDENTIALS

_LATENCY = 0.020
_AT_ONCE = 100


async def sign_ins(scale: Scale) -> AsyncIterator[Line]:
    """New users per second, 100 concurrent, 20 ms of latency at a server in this process."""
    if importlib.util.find_spec("supabase_auth") is None:
        msg = "supabase_auth is missing: make setup"
        raise SkippedError(msg)
    count = scale.of(1_000, least=_AT_ONCE)
    async with _serve() as url:
        with tempfile.TemporaryDirectory() as folder:
            ours = partial(_create, url, (Path(folder, f"{number}.sqlite3") for number in itertools.count()), count)
            for against, theirs, goal, moonshot in (
                ("supabase_auth", partial(_sign_in, url, scale.of(200, least=10)), 20, 50),
                ("supabase_auth, one httpx client for all", partial(_sign_in_shared, url, count), None, None),
            ):
                measured = await alternate(ours, theirs, scale)
                yield Line(
                    what="anonymous sign-ins/s, 100 at once, 20 ms latency",
                    against=against,
                    ours=measured[0],
                    theirs=measured[1],
                    goal=goal,
                    moonshot=moonshot,
                    kind="rate",
                )


async def _create(url: str, files: Iterator[Path], count: int) -> Batch:
    async with MimiCore(CREDENTIALS, server=url, store=SQLiteStore(next(files)), account=None) as core:

        async def create(account: str) -> None:
            await (await core.auth_for(account)).ensure_user()

        return await at_once(create, map(str, range(count)), workers=_AT_ONCE)


async def _sign_in(url: str, count: int) -> Batch:
    # As the documentation of supabase_auth shows it: a client holds one user, so each account has a client, which makes
    # its own HTTP client. It keeps the session in memory, where ours is durable.
    from supabase_auth import AsyncGoTrueClient

    async def sign_in(_: str) -> None:
        async with AsyncGoTrueClient(url=url, auto_refresh_token=False) as client:
            reply = await client.sign_in_anonymously()
        assert reply.session

    return await at_once(sign_in, map(str, range(count)), workers=_AT_ONCE)


async def _sign_in_shared(url: str, count: int) -> Batch:
    # A longer baseline, for a fair view: the HTTP client, with its TLS settings and its pool, is made once and shared.
    import httpx
    from supabase_auth import AsyncGoTrueClient

    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=_AT_ONCE)) as http:

        async def sign_in(_: str) -> None:
            client = AsyncGoTrueClient(url=url, auto_refresh_token=False, http_client=http)
            assert (await client.sign_in_anonymously()).session

        return await at_once(sign_in, map(str, range(count)), workers=_AT_ONCE)


@contextlib.asynccontextmanager
async def _serve() -> AsyncIterator[str]:
    """Serve sign-ups of GoTrue and creations of the contract, each with the same latency."""
    app = web.Application()
    app.router.add_post("/signup", _answer_sign_up)
    app.router.add_post("/v1/anonymous-users", _answer_creation)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def _answer_sign_up(request: web.Request) -> web.Response:
    await request.json()
    await asyncio.sleep(_LATENCY)
    now = int(time.time())
    user = {"id": str(uuid.uuid4()), "aud": "authenticated", "role": "authenticated", "is_anonymous": True}
    user |= {"app_metadata": {}, "user_metadata": {}, "identities": [], "created_at": "2026-01-01T00:00:00Z"}
    session: dict[str, Any] = {"access_token": "0" * 75, "refresh_token": "0" * 22, "token_type": "bearer"}
    return web.json_response({**session, "expires_in": 3600, "expires_at": now + 3600, "user": user})


async def _answer_creation(request: web.Request) -> web.Response:
    await request.json()
    await asyncio.sleep(_LATENCY)
    user = {"id": uuid.uuid4().hex, "is_anonymous": True, "year_of_birth": None, "sex": None}
    session: dict[str, Any] = {"user": {**user, "latest_hearing_test": None}, "access_token": "0" * 75}
    session |= {"expires_in": 900, "anonymous_id": str(uuid.uuid4())}
    return web.json_response(session, status=201, headers={EXCHANGE: request.headers[EXCHANGE]})
