"""`mimi-async clients`: add a client of the identity server."""

import asyncio
import os

import click

from ..errors import ConfigurationError
from ..server import Settings
from ..server.locations import DatabaseLocation, SQLiteLocation, load_keys
from ..server.users.repository import check_names, new_client
from .database import database_option


@click.group()
def clients() -> None:
    """The clients that may use the server: products of partners."""


@clients.command("add")
@click.argument("partner")
@click.argument("client")
@database_option
def add_client(partner: str, client: str, database: DatabaseLocation) -> None:
    """Add CLIENT, a product of PARTNER, and print its secret, once.

    An anonymousId works for every client of its partner, and for no client of another partner. The first client
    replaces mimi-dev.
    """
    asyncio.run(_add_client(database, partner, client))


async def _add_client(location: DatabaseLocation, partner: str, client: str) -> None:
    check_names(partner, client)
    repository = location.create_repository(Settings())
    await repository.open()
    try:
        is_new = not await repository.check_values()
        keys = await load_keys(repository, location, os.environ)
        credentials, digest = new_client(keys, partner, client)
        if not await repository.add_client(partner, client, digest):
            msg = f"there is a client {client!r} already: add one of another name, whose users are the same partner's"
            raise ConfigurationError(msg)
    finally:
        await repository.close()
    click.echo(f"MIMI_CLIENT_ID={credentials.client_id}")
    click.echo(f"MIMI_CLIENT_SECRET={credentials.secret.reveal()}")
    click.echo("Keep the secret: only a digest of it is stored, and it can't be shown again.", err=True)
    where, keys_note = str(location), ""
    if isinstance(location, SQLiteLocation):
        where = str(location.path.resolve())
        if location.key_file.exists():
            keys_note = f", and its keys are in {location.key_file.resolve()}: back up both"
    if is_new:
        click.echo(f"There was no database yet: {where} is new{keys_note}.", err=True)
    click.echo(f"Added to {where}, which does not accept mimi-dev.", err=True)
