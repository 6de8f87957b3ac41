"""What a store needs before it is used: made, or printed."""

from typing import cast

import click

from ..errors import ConfigurationError
from ..stores import IdentityStore, SQLiteStore


def script_of(store: IdentityStore | None) -> str:
    """Return the statements that make the tables of a store, of a `PostgresStore` where there is none."""
    if store is None:
        try:
            from ..stores import PostgresStore
        except ModuleNotFoundError as error:
            raise click.ClickException(str(error)) from None
        return PostgresStore.script()
    if hasattr(store, "script"):
        return cast("str", store.script())
    msg = (
        "--print is for PostgreSQL: another store has no tables that you could make yourself. "
        "Name one: mimi-async store init postgresql://user@host/database --print"
    )
    raise click.UsageError(msg)


async def make(store: IdentityStore) -> None:
    """Make what a store needs, and tell whether it was missing."""
    was_there = await _is_there(store)
    await store.init()
    news = {None: "", False: ": it is new, and empty", True: ": it was there, and was kept as it is"}[was_there]
    click.echo(f"{store!r} is ready{news}", err=True)


async def _is_there(store: IdentityStore) -> bool | None:
    """Tell whether the file or the tables of a store are there, None where it has neither."""
    if isinstance(store, SQLiteStore):
        return store.path.exists()
    if not hasattr(store, "script"):
        return None
    try:
        async with store:
            return True
    except ConfigurationError:  # that the tables are missing; whatever else it says, `init` says it again
        return False
