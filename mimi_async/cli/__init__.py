"""The command line."""

import click

from .clients import clients
from .serve import serve
from .store import store


@click.group()
@click.version_option(package_name="mimi-async")
def command() -> None:
    """One anonymous Mimi user for each account of a partner. Unofficial."""


command.add_command(serve)
command.add_command(clients)
command.add_command(store)
