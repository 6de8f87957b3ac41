"""The command line."""

import asyncio
import logging
import os
import signal
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click

from .errors import ConfigurationError, MimiError
from .server import Server, Settings
from .server.listener import keys_of
from .server.settings import DEFAULT_PORT
from .server.sqlite import SQLiteUserBook
from .server.users import check_names, new_client

_SQLITE = "sqlite:///"


def _path_of(ctx: click.Context, param: click.Parameter, url: str) -> Path:
    """Return the file that a database URL names: sqlite:///relative/path or sqlite:////absolute/path."""
    path = unquote(url.removeprefix(_SQLITE))
    if url.startswith(_SQLITE) and path:
        return Path(path)
    msg = "a database is sqlite:///relative/path or sqlite:////absolute/path, percent-encoded where need be"
    raise click.BadParameter(msg, ctx, param)


_database = click.option(
    "--database",
    metavar="URL",
    callback=_path_of,
    default="sqlite:///mimi-async.sqlite3",
    envvar="MIMI_DATABASE_URL",
    show_default=True,
    show_envvar=True,
    help="Where the users are kept. Keys lie beside it, unless the environment names them.",
)


@click.group()
@click.version_option(package_name="mimi-async")
def command() -> None:
    """One anonymous Mimi user for each account of a partner. Unofficial."""


@command.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0: any free one.")
@_database
@click.option("--behind-proxy", is_flag=True, help="A proxy in front of it speaks https to the world.")
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False), help="The certificate chain, for https.")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False), help="Its private key.")
@click.option(
    "--creation-limit",
    type=click.IntRange(0),
    default=Settings().creation_limit,
    show_default=True,
    help="New users a minute from one client; 0: no limit.",
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
    database: Path,
    *,
    behind_proxy: bool,
    tls_cert: str | None,
    tls_key: str | None,
    creation_limit: int,
    log_level: str,
    oldest_sdk: str | None,
) -> None:
    """Run the identity server until SIGTERM or SIGINT."""
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
        unserviceable=_older_than(oldest_sdk) if oldest_sdk else None,
    )
    _run(_serve(Server(database, settings)))


@command.group()
def clients() -> None:
    """The clients that may use the server: products of partners."""


@clients.command("add")
@click.argument("partner")
@click.argument("client")
@_database
def add_client(partner: str, client: str, database: Path) -> None:
    """Add CLIENT, a product of PARTNER, and print its secret, once.

    An anonymousId works for every client of its partner, and for none of another's. The first client takes the place of
    mimi-dev.
    """
    _run(_add_client(database, partner, client))
    click.echo(f"Added to {database.resolve()}, where mimi-dev works no more.", err=True)


async def _serve(server: Server) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with server:
        click.echo(f"serving {server.url} (database {server.database})")
        await stopped.wait()


async def _add_client(database: Path, partner: str, client: str) -> None:
    check_names(partner, client)
    book = SQLiteUserBook(database)
    await book.open()
    try:
        keys = await keys_of(book, database, os.environ)
        credentials, digest = new_client(keys, partner, client)
        if not await book.add_client(partner, client, digest):
            msg = f"there is a client {client!r} already"
            raise ConfigurationError(msg)
    finally:
        await book.close()
    click.echo(f"MIMI_CLIENT_ID={credentials.client_id}")
    click.echo(f"MIMI_CLIENT_SECRET={credentials.secret.reveal()}")
    click.echo("Keep the secret: only a digest of it is stored, and it can't be shown again.", err=True)


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run it; an error of ours is one line, without a traceback."""
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(work)
    except MimiError as error:
        raise click.ClickException(str(error)) from None


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
