"""`mimi-async serve`: run the identity server."""

import asyncio
import logging
import signal
import ssl
from collections.abc import Callable

import click

from ..server import Server, Settings
from ..server.locations import DatabaseLocation
from ..server.settings import DEFAULT_PORT
from ..server.workers import Workers
from .database import database_option


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0: any free one.")
@database_option
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that share the port; a process that dies is replaced.",
)
@click.option(
    "--database-connections",
    type=click.IntRange(1),
    default=Settings().database_connections,
    show_default=True,
    help="The most connections of a worker to PostgreSQL.",
)
@click.option("--behind-proxy", is_flag=True, help="A proxy in front of the server terminates https.")
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False), help="The certificate chain, for https.")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False), help="Its private key.")
@click.option(
    "--creation-limit",
    type=click.IntRange(0),
    default=Settings().creation_limit,
    show_default=True,
    help="New users a minute from one client, in each worker; 0: no limit.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="The lowest level of log lines on standard error; they hold no secret.",
)
@click.option("--oldest-sdk", metavar="VERSION", help="Answer 426 to older versions of the SDK.")
def serve(
    host: str,
    port: int,
    database: DatabaseLocation,
    *,
    workers: int,
    database_connections: int,
    behind_proxy: bool,
    tls_cert: str | None,
    tls_key: str | None,
    creation_limit: int,
    log_level: str,
    oldest_sdk: str | None,
) -> None:
    """Run the identity server until SIGTERM or SIGINT; a second signal does not wait for requests in progress.

    Its keys are MIMI_ID_KEY, MIMI_PEPPER and MIMI_TOKEN_KEY, each from a separate `openssl rand -hex 32`, or a file
    beside a SQLite database. Never change the first two: every anonymousId depends on them. A changed token key only
    ends the access tokens in use, after which the SDK logs in again. MIMI_TOKEN_KEY=new,old avoids that: the first key
    signs, all of them verify. Remove the old key after 15 minutes. Where several servers share the database, restart
    them all with old,new first.
    """
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if (tls_cert is None) != (tls_key is None):
        msg = "give --tls-cert and --tls-key together"
        raise click.UsageError(msg)
    settings = Settings(
        host=host,
        port=port,
        tls=_load_tls(tls_cert, tls_key) if tls_cert and tls_key else None,
        behind_proxy=behind_proxy,
        creation_limit=creation_limit or None,
        database_connections=database_connections,
        is_unserviceable=_make_check(oldest_sdk) if oldest_sdk else None,
    )
    if workers == 1:
        asyncio.run(_serve(Server(database, settings)))
    else:
        Workers(database, settings, workers, lambda server: _print_address(server, f", {workers} workers")).run()


async def _serve(server: Server) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)  # a second signal ends the process
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    async with server:
        _print_address(server)
        await stopped.wait()


def _print_address(server: Server, workers: str = "") -> None:
    click.echo(f"serving {server.url} (database {server.location}{workers})")


def _load_tls(certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError):
        msg = f"{certificate} and {key} are no certificate chain with its private key"
    else:
        return context
    raise click.ClickException(msg)


def _make_check(version: str) -> Callable[[str], bool]:
    """Return a function that returns whether a User-Agent is that of an older SDK than a version."""
    oldest = _parse_version(version)
    if oldest is None:
        msg = "a version is numbers with dots, such as 0.2.0"
        raise click.BadParameter(msg, param_hint="--oldest-sdk")

    def is_older(user_agent: str) -> bool:
        name, _, sent = user_agent.partition(" ")[0].partition("/")
        numbers = _parse_version(sent)
        return name == "mimi-async" and numbers is not None and numbers < oldest

    return is_older


def _parse_version(version: str) -> tuple[int, ...] | None:
    parts = version.split(".")
    return tuple(map(int, parts)) if all(part.isascii() and part.isdigit() for part in parts) else None
