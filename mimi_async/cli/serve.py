"""`mimi-async serve`."""

import asyncio
import logging
import signal
import ssl
from collections.abc import Callable

import click

from ..server import Server, Settings
from ..server.places import Place
from ..server.settings import DEFAULT_PORT
from ..server.workers import Workers
from .database import database_option
from .outcome import run, told


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0: any free one.")
@database_option
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that share the port; one that dies is replaced.",
)
@click.option(
    "--database-connections",
    type=click.IntRange(1),
    default=Settings().database_connections,
    show_default=True,
    help="To PostgreSQL, from each worker, at most.",
)
@click.option("--behind-proxy", is_flag=True, help="A proxy in front of it speaks https to the world.")
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
    help="What is told on standard error; never a secret.",
)
@click.option("--oldest-sdk", metavar="VERSION", help="Answer 426 to older versions of the SDK.")
def serve(
    host: str,
    port: int,
    database: Place,
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
    """Run the identity server until SIGTERM or SIGINT; a second one does not wait for requests that are under way.

    Its keys are MIMI_ID_KEY, MIMI_PEPPER and MIMI_TOKEN_KEY, each from a call of its own of `openssl rand -hex 32`, or
    the file beside a SQLite database. The first two never change: every anonymousId hangs on them. A changed token key
    ends the access tokens that are in use, and nothing else: the SDK logs in anew by itself. MIMI_TOKEN_KEY=new,old
    spares it that: the first key signs, all of them verify. Leave the old one out after 15 minutes. Where several
    servers share the database, restart them all with old,new first.
    """
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if (tls_cert is None) != (tls_key is None):
        msg = "give --tls-cert and --tls-key together"
        raise click.UsageError(msg)
    settings = Settings(
        host=host,
        port=port,
        tls=_tls(tls_cert, tls_key) if tls_cert and tls_key else None,
        behind_proxy=behind_proxy,
        creation_limit=creation_limit or None,
        database_connections=database_connections,
        unserviceable=_older_than(oldest_sdk) if oldest_sdk else None,
    )
    if workers == 1:
        run(_serve(Server(database, settings)))
    else:
        with told():
            Workers(database, settings, workers, lambda server: _tell(server, f", {workers} workers")).run()


async def _serve(server: Server) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)  # a second one ends the process
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    async with server:
        _tell(server)
        await stopped.wait()


def _tell(server: Server, workers: str = "") -> None:
    click.echo(f"serving {server.url} (database {server.place}{workers})")


def _tls(certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError):
        msg = f"{certificate} and {key} are no certificate chain with its private key"
    else:
        return context
    raise click.ClickException(msg)


def _older_than(version: str) -> Callable[[str], bool]:
    """Return what tells a User-Agent of this SDK that is older than a version."""
    oldest = _numbers(version)
    if oldest is None:
        msg = "a version is numbers with dots, such as 0.2.0"
        raise click.BadParameter(msg, param_hint="--oldest-sdk")

    def is_older(user_agent: str) -> bool:
        name, _, told = user_agent.partition(" ")[0].partition("/")
        numbers = _numbers(told)
        return name == "mimi-async" and numbers is not None and numbers < oldest

    return is_older


def _numbers(version: str) -> tuple[int, ...] | None:
    parts = version.split(".")
    return tuple(map(int, parts)) if all(part.isascii() and part.isdigit() for part in parts) else None
