"""Run one product as a web service.

    python -m examples.partner_service player --port 8080

`Product.from_env` names the environment variables that it reads. It prints "serving http://…/" once it answers, and
ends on SIGTERM or SIGINT.
"""

import argparse
import asyncio
import errno
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from mimi_async import MimiError

from .ports import PortTakenError, port
from .product import Product
from .site import make_app

_STOP_SECONDS = 5.0


async def serve(product: Product, port: int, *, or_any: bool) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runner = web.AppRunner(make_app(product), access_log=None, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    try:
        await _listen(runner, port, or_any=or_any)
        print(f"serving http://127.0.0.1:{runner.addresses[0][1]}/", flush=True)
        await stopped.wait()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int, *, or_any: bool) -> None:
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        if not or_any:
            raise PortTakenError(port) from None
        await web.TCPSite(runner, "127.0.0.1", 0).start()


def _quotes_no_request(record: logging.LogRecord) -> bool:
    """Return False for parse errors of aiohttp: they quote the request, which may contain a cookie."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one product."""
    parser = argparse.ArgumentParser(description="One product of the partner as a web service.")
    parser.add_argument("product", help="its name, such as player or tv")
    parser.add_argument("--port", type=port, default=0, help="0, the default, for any free port")
    parser.add_argument("--or-any", action="store_true", help="use any free port if this one is taken")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiohttp.server").addFilter(_quotes_no_request)
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(serve(Product.from_env(options.product), options.port, or_any=options.or_any))
    except PortTakenError as error:
        print(error, file=sys.stderr)
        return 1
    except (MimiError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
