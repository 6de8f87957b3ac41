"""The arguments that name stores, and where such a store keeps its records."""

import os
from collections.abc import Callable
from urllib.parse import parse_qsl

import attrs
import click

from ..dsn import SCHEMES, shown_dsn
from ..errors import ConfigurationError, InvalidInputError
from ..stores import IdentityStore, SQLiteStore, open_store


@attrs.frozen
class Placed:
    """A store, not yet entered.

    Attributes:
        store: The store.
        place: What it shares with each store of the same records, and with no other: see `place_of`.
    """

    store: IdentityStore
    place: object = attrs.field(repr=False)


def opened(ctx: click.Context, param: click.Parameter, url: str | None) -> IdentityStore:
    """Return the store that a URL names, not yet entered."""
    try:
        return open_store(url)
    except (ConfigurationError, InvalidInputError, ModuleNotFoundError) as error:
        raise click.BadParameter(str(error), ctx, param) from None


def opened_or_none(ctx: click.Context, param: click.Parameter, url: str | None) -> IdentityStore | None:
    """Return the same; None where nobody names one, and its tables are only to be printed."""
    if url is None and ctx.params.get("prints") and not os.environ.get("MIMI_STORE_URL"):
        return None
    return opened(ctx, param, url)


def found(ctx: click.Context, param: click.Parameter, url: str | None) -> IdentityStore:
    """Return a store that is there: a wrong path would else be made, and pass for an empty store."""
    store = opened(ctx, param, url)
    if isinstance(store, SQLiteStore) and not store.path.exists():
        msg = f"there is no file {store.path}"
        raise click.BadParameter(msg, ctx, param)
    return store


def placed(find: Callable[..., IdentityStore]) -> Callable[[click.Context, click.Parameter, str], Placed]:
    """Return what tells of the store that is found where it lies, too."""

    def find_place(ctx: click.Context, param: click.Parameter, url: str) -> Placed:
        store = find(ctx, param, url)
        return Placed(store, place_of(store, url))

    return find_place


def place_of(store: IdentityStore, url: str) -> object:
    """Return where a store keeps its records: of an address neither who logs in there, nor how.

    A host in the address goes before the option `host`, as for the driver, and a database has the name of the user
    where it has none of its own.
    """
    if not url.startswith(SCHEMES):
        return repr(store)
    address, _, query = url.partition("?")
    options = dict(parse_qsl(query))
    hosts, _, database = shown_dsn(address).partition("://")[2].partition("/")
    login = address.partition("://")[2].rpartition("@")[0]
    user = login.partition(":")[0] or options.get("user", "")
    return (
        hosts or (options.get("host", ""), options.get("port", "")),
        database or options.get("dbname") or options.get("database") or f"that of {user}",
        options.get("service", ""),
    )
