"""The option `--database`, which names the database of the server."""

import os
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from ..errors import ConfigurationError
from ..server.locations import DatabaseLocation, parse_url

_F = TypeVar("_F", bound=Callable[..., Any])

_VARIABLE: Final = "MIMI_DATABASE_URL"


def _parse_location(ctx: click.Context, param: click.Parameter, url: str) -> DatabaseLocation:
    """Return the location that a URL names; refuse a variable that is set and empty, whose value was lost."""
    if _VARIABLE in os.environ and ctx.get_parameter_source(str(param.name)) is ParameterSource.DEFAULT:
        msg = f"{_VARIABLE} is set and empty: give it a value, or unset it"
        raise click.BadParameter(msg, ctx, param)
    try:
        return parse_url(url)
    except ConfigurationError as error:
        raise click.BadParameter(str(error), ctx, param) from None


database_option: Callable[[_F], _F] = click.option(
    "--database",
    metavar="URL",
    callback=_parse_location,
    default="sqlite:///mimi-async.sqlite3",
    envvar=_VARIABLE,
    show_default=True,
    show_envvar=True,
    help="The database of the users: sqlite:///… or postgresql://…; put a URL with a password into the environment. "
    "The keys come from the environment too; by default they are in a file beside the SQLite database. ?mode=rw after "
    "a path: the file must exist; ?create=folder: its folder is created, too.",
)
