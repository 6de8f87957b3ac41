"""`mimi-async store`: what an operator does with the stores of a partner's services."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

import click
from rich.console import Console

from ..stores import IdentityStore, MemoryStore, State
from ..stores.census import Census, take_census
from ..stores.copying import Copy, copy_records
from .making import make, script_of
from .outcome import run, told
from .places import Placed, found, opened, opened_or_none, placed

_T = TypeVar("_T")
_Command = TypeVar("_Command", bound=Callable[..., Any])

_STATES: tuple[State, ...] = ("active", "pending", "rejected", "erasing")
_INTERRUPTED = 130
_MOST_NAMED: Final = 20

_list_option = click.option(
    "--list",
    "lists",
    is_flag=True,
    help=f"Name all accounts that want attention, not only the first {_MOST_NAMED} that fail.",
)


def _argument(find: Callable[..., IdentityStore | None]) -> Callable[[_Command], _Command]:
    return click.argument("store", metavar="[STORE]", required=False, callback=find)


@click.group()
def store() -> None:
    """The stores of anonymousIds, named by URLs.

    sqlite:///ids.sqlite3, sqlite:////var/lib/ids.sqlite3, postgresql://user@host/database or keyring://service. STORE
    is MIMI_STORE_URL where it is not given. A password belongs into the environment (PGPASSWORD) or into ~/.pgpass: a
    command line can be read by everybody on the machine.
    """


@store.command("init")
@_argument(opened_or_none)
@click.option(
    "--print",
    "prints",
    is_flag=True,
    help="Print the SQL of PostgreSQL, for migrations of your own; change nothing. It needs no STORE.",
)
def init_store(store: IdentityStore | None, *, prints: bool) -> None:
    """Make the tables of STORE, or its file, where they are missing. It may be run again, and by many at once."""
    if store is None or prints:
        click.echo(script_of(store), nl=False)
    else:
        run(make(store))


@store.command("check")
@_argument(found)
@_list_option
def check_store(store: IdentityStore, *, lists: bool) -> None:
    """Count what STORE holds; change nothing. The exit status is 1 if a record can't be read: its account is named."""
    census = _watched(lambda tell: _checked(store, tell))
    _print({**{state: census.states[state] for state in _STATES}, "corrupt": len(census.corrupt)})
    _print({"pending for over an hour": len(census.stale)})
    _name({"corrupt": census.corrupt}, lists=lists)
    if lists:
        _name({"pending for over an hour": census.stale}, lists=lists)
    sys.exit(1 if census.corrupt else 0)


@store.command("copy")
@click.argument("source", callback=placed(found))
@click.argument("target", callback=placed(opened))
@_list_option
def copy_store(source: Placed, target: Placed, *, lists: bool) -> None:
    """Copy each record of SOURCE into TARGET, and read it back. Nothing that TARGET holds is written over.

    A copy that was cut off goes on when it is run again. Services may run meanwhile: run it once more when they stand
    still, before they use TARGET. What SOURCE has forgotten since an earlier run stays in TARGET: that last run is best
    made into an empty one. The exit status is 1 if TARGET holds something else for an account, or a record can't be
    read: these accounts are named.
    """
    if isinstance(target.store, MemoryStore) or source.place == target.place:
        msg = "name a TARGET that lasts, and that is another store than SOURCE"
        raise click.UsageError(msg)
    copy = _watched(lambda tell: _copied(source.store, target.store, tell))
    _print({"copied": copy.copied, "there already": copy.there, "forgotten meanwhile": copy.gone})
    _print({"different, kept": len(copy.different), "corrupt": len(copy.corrupt)})
    _name({"different": copy.different, "corrupt": copy.corrupt}, lists=lists)
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


def _name(kinds: Mapping[str, Sequence[str]], *, lists: bool) -> None:
    for kind, accounts in kinds.items():
        most = len(accounts) if lists else _MOST_NAMED
        for account in sorted(accounts)[:most]:
            click.echo(f"{kind}: {account!r}")
        if len(accounts) > most:
            click.echo(f"{kind}: {len(accounts) - most:,} more accounts, which --list names, too")
