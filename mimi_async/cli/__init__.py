"""The command line: `mimi-async serve`, `clients` and `store`."""

from contextlib import suppress

import click

from ..errors import MimiError
from .clients import clients
from .serve import serve
from .store import store


class _Command(click.Group):
    """End a command with a line instead of a traceback on a `MimiError`."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            with suppress(KeyboardInterrupt):
                return super().invoke(ctx)
        except MimiError as error:
            raise click.ClickException(str(error)) from None
        return None


@click.group(cls=_Command)
@click.version_option(package_name="mimi-async")
def command() -> None:
    """One anonymous Mimi user for each account of a partner. Unofficial."""


command.add_command(serve)
command.add_command(clients)
command.add_command(store)
