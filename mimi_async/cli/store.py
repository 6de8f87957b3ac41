"""`mimi-async store`: what an operator does with the stores of a partner's services."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import click
from rich.console import Console

from ..errors import ConfigurationError, InvalidInputError
from ..stores import IdentityStore, MemoryStore, SQLiteStore, State, open_store
from ..stores.census import Census, take_census
from ..stores.copying import Copy, copy_records
from .outcome import run, told

_T = TypeVar("_T")
_Command = TypeVar("_Command", bound=Callable[..., Any])

_STATES: tuple[State, ...] = ("active", "pending", "rejected", "erasing")
_INTERRUPTED = 130

_list_option = click.option("--list", "lists", is_flag=True, help="Name the accounts that want attention.")


def _opened(ctx: click.Context, param: click.Parameter, url: str | None) -> IdentityStore:
    """Return the store that a URL names, not yet entered."""
    try:
        return open_store(url)
    except (ConfigurationError, InvalidInputError, ModuleNotFoundError) as error:
        raise click.BadParameter(str(error), ctx, param) from None


def _found(ctx: click.Context, param: click.Parameter, url: str | None) -> IdentityStore:
    """Return a store that is there: a wrong path would else be made, and pass for an empty store."""
    store = _opened(ctx, param, url)
    if isinstance(store, SQLiteStore) and not store.path.exists():
        msg = f"there is no file {store.path}"
        raise click.BadParameter(msg, ctx, param)
    return store


def _argument(find: Callable[..., IdentityStore]) -> Callable[[_Command], _Command]:
    return click.argument("store", metavar="[STORE]", required=False, callback=find)


@click.group()
def store() -> None:
    """The stores of anonymousIds, named by URLs.

    sqlite:///ids.sqlite3, sqlite:////var/lib/ids.sqlite3, postgresql://user@host/database or keyring://service. STORE
    is MIMI_STORE_URL where it is not given. A password belongs into the environment (PGPASSWORD) or into ~/.pgpass: a
    command line can be read by everybody on the machine.
    """


@store.command("init")
@_argument(_opened)
@click.option("--print", "prints", is_flag=True, help="Print the SQL, for migrations of your own; change nothing.")
def init_store(store: IdentityStore, *, prints: bool) -> None:
    """Make the tables of STORE, or its file, where they are missing. It may be run again, and by many at once."""
    script: Callable[[], str] | None = getattr(store, "script", None)
    if not prints:
        run(store.init())
        click.echo(f"{store!r} is ready", err=True)
    elif script is None:
        msg = "--print is for PostgreSQL: another store has no tables that you could make yourself"
        raise click.UsageError(msg)
    else:
        click.echo(script(), nl=False)


@store.command("check")
@_argument(_found)
@_list_option
def check_store(store: IdentityStore, *, lists: bool) -> None:
    """Count what STORE holds; change nothing. The exit status is 1 if a record can't be read."""
    census = _watched(lambda tell: _checked(store, tell))
    _print({**{state: census.states[state] for state in _STATES}, "corrupt": len(census.corrupt)})
    _print({"pending for over an hour": len(census.stale)})
    if lists:
        _name({"corrupt": census.corrupt, "pending for over an hour": census.stale})
    sys.exit(1 if census.corrupt else 0)


@store.command("copy")
@click.argument("source", callback=_found)
@click.argument("target", callback=_opened)
@_list_option
def copy_store(source: IdentityStore, target: IdentityStore, *, lists: bool) -> None:
    """Copy each record of SOURCE into TARGET, and read it back. Nothing that TARGET holds is written over.

    A copy that was cut off goes on when it is run again. Services may run meanwhile: run it once more when they stand
    still, before they use TARGET. The exit status is 1 if TARGET holds something else for an account, or a record can't
    be read.
    """
    if isinstance(target, MemoryStore) or repr(source) == repr(target):
        msg = "name a TARGET that lasts, and that is another store than SOURCE"
        raise click.UsageError(msg)
    copy = _watched(lambda tell: _copied(source, target, tell))
    _print({"copied": copy.copied, "there already": copy.there, "forgotten meanwhile": copy.gone})
    _print({"different, kept": len(copy.different), "corrupt": len(copy.corrupt)})
    if lists:
        _name({"different": copy.different, "corrupt": copy.corrupt})
    sys.exit(0 if copy.is_whole else 1)


async def _checked(store: IdentityStore, tell: Callable[[Census], None]) -> Census:
    async with store:
        return await take_census(store, tell)


async def _copied(source: IdentityStore, target: IdentityStore, tell: Callable[[Copy], None]) -> Copy:
    async with source, target:
        return await copy_records(source, target, tell)


def _watched(work: Callable[[Callable[[Any], None]], Coroutine[Any, Any, _T]]) -> _T:
    """Do it, and show on a terminal how far it has come."""
    console = Console(stderr=True)
    try:
        with told(), console.status("0 accounts") as status:
            return asyncio.run(work(lambda progress: status.update(f"{progress.seen:,} accounts")))
    except KeyboardInterrupt:
        click.echo("interrupted; nothing is lost: run it again", err=True)
    sys.exit(_INTERRUPTED)


def _print(counts: dict[str, int]) -> None:
    for what, count in counts.items():
        click.echo(f"{what:<26}{count:>12,}")


def _name(kinds: dict[str, Sequence[str]]) -> None:
    for kind, accounts in kinds.items():
        for account in sorted(accounts):
            click.echo(f"{kind}: {account!r}")
