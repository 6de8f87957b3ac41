"""The option that names the database of the server."""

from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import click

from ..dsn import SCHEMES
from ..server.places import FilePlace, Place, PostgresPlace

_F = TypeVar("_F", bound=Callable[..., Any])

_SQLITE: Final = "sqlite:///"


def _place(ctx: click.Context, param: click.Parameter, url: str) -> Place:
    """Return the place that a URL names."""
    path = unquote(url.removeprefix(_SQLITE))
    if url.startswith(_SQLITE) and path:
        return FilePlace(path)
    if url.startswith(SCHEMES):
        return PostgresPlace(url)
    msg = (
        "a database is sqlite:///relative/path or sqlite:////absolute/path, percent-encoded where need be, "
        "or postgresql://user@host/database"
    )
    raise click.BadParameter(msg, ctx, param)


database_option: Callable[[_F], _F] = click.option(
    "--database",
    metavar="URL",
    callback=_place,
    default="sqlite:///mimi-async.sqlite3",
    envvar="MIMI_DATABASE_URL",
    show_default=True,
    show_envvar=True,
    help="Where the users are kept: sqlite:///… or postgresql://…, which with a password in it belongs into the "
    "environment. The keys come from the environment too; without them they lie beside the file of SQLite.",
)
