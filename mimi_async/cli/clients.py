"""`mimi-async clients`."""

import os

import click

from ..errors import ConfigurationError
from ..server import Settings
from ..server.places import FilePlace, Place, keys_of
from ..server.users import check_names, new_client
from .database import database_option
from .outcome import run


@click.group()
def clients() -> None:
    """The clients that may use the server: products of partners."""


@clients.command("add")
@click.argument("partner")
@click.argument("client")
@database_option
def add_client(partner: str, client: str, database: Place) -> None:
    """Add CLIENT, a product of PARTNER, and print its secret, once.

    An anonymousId works for every client of its partner, and for none of another's. The first client takes the place of
    mimi-dev.
    """
    run(_add_client(database, partner, client))


async def _add_client(place: Place, partner: str, client: str) -> None:
    check_names(partner, client)
    book = place.book(Settings())
    await book.open()
    try:
        is_new = not await book.check_values()
        keys = await keys_of(book, place, os.environ)
        credentials, digest = new_client(keys, partner, client)
        if not await book.add_client(partner, client, digest):
            msg = f"there is a client {client!r} already: add one of another name, whose users are the same partner's"
            raise ConfigurationError(msg)
    finally:
        await book.close()
    click.echo(f"MIMI_CLIENT_ID={credentials.client_id}")
    click.echo(f"MIMI_CLIENT_SECRET={credentials.secret.reveal()}")
    click.echo("Keep the secret: only a digest of it is stored, and it can't be shown again.", err=True)
    where = place.path.resolve() if isinstance(place, FilePlace) else place
    if is_new:
        click.echo(f"There was no database yet: {where} is new{_and_keys(place)}.", err=True)
    click.echo(f"Added to {where}, where mimi-dev works no more.", err=True)


def _and_keys(place: Place) -> str:
    """Tell where the keys of a new database are, if they are in a file."""
    if isinstance(place, FilePlace) and place.key_file.exists():
        return f", and its keys are in {place.key_file.resolve()}: back up both"
    return ""
