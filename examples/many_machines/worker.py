"""One of many equal processes of the partner's service: `python -m examples.many_machines.worker --port 8090`.

A worker keeps no state of its own: the records and the partner's table are in PostgreSQL. On SIGTERM it finishes the
requests in flight and exits.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys

import asyncpg
from aiohttp import web

from mimi_async import ClientCredentials, MimiCore, MimiError
from mimi_async.stores import open_store

from .accounts import Accounts

CORE = web.AppKey("core", MimiCore)
HOST = "127.0.0.1"
REQUIRED = ("MIMI_SERVER", "MIMI_CLIENT_ID", "MIMI_CLIENT_SECRET", "MIMI_STORE_URL", "PARTNER_DATABASE")
HINT = (
    "README describes MIMI_… under 'Try it' and 'On many machines'; PARTNER_DATABASE is the address of a PostgreSQL "
    "database with the table of examples/many_machines/accounts.py"
)


async def ensure_user(request: web.Request) -> web.Response:
    """Make sure that the account has its Mimi user, and return the id of the user.

    A real service takes the account from the session; here it is part of the path.
    """
    try:
        auth = await request.app[CORE].auth_for(request.match_info["account"])
        user = await auth.ensure_user()
    except MimiError as error:
        if not error.retryable:
            raise
        return web.json_response({"error": str(error)}, status=503, headers={"Retry-After": "1"})
    return web.json_response({"user": user.id})


async def serve(port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with asyncpg.create_pool(os.environ["PARTNER_DATABASE"], min_size=0, max_size=4) as pool:
        accounts = Accounts(pool)
        core = MimiCore(
            ClientCredentials.from_env(),
            server=os.environ["MIMI_SERVER"],
            store=open_store(),  # MIMI_STORE_URL
            account=None,
            known_id=accounts.known_id,
        )
        core.observe(accounts.remember)
        async with core:
            await _serve_app(core, port, stopped)


async def _serve_app(core: MimiCore, port: int, stopped: asyncio.Event) -> None:
    app = web.Application()
    app[CORE] = core
    app.router.add_post("/visits/{account}", ensure_user)
    runner = web.AppRunner(app, shutdown_timeout=10.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port)
        await site.start()
        print(f"serving http://{HOST}:{runner.addresses[0][1]}", flush=True)
        await stopped.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Run a worker."""
    parser = argparse.ArgumentParser(prog="python -m examples.many_machines.worker", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 for any free port")
    port = parser.parse_args().port
    missing = [name for name in REQUIRED if not os.environ.get(name)]
    if missing:
        sys.exit(f"set {' and '.join(missing)}: {HINT}")
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(serve(port))


if __name__ == "__main__":
    main()
