"""`mimi-async store`: create, check and copy the stores of a partner's services."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, cast
from urllib.parse import parse_qsl

import click
from rich.console import Console

from ..databases.dsn import redact_dsn
from ..databases.private_files import system_call
from ..errors import ConfigurationError, InvalidInputError
from ..stores import IdentityStore, MemoryStore, State, open_store
from ..stores.audit import StoreAudit, audit_store
from ..stores.copying import Copy, copy_records

_T = TypeVar("_T")

_LocatedStore: TypeAlias = tuple[IdentityStore, object]
"""A store, not yet entered, and its location, which is equal for stores that hold the same records."""

_STATES: tuple[State, ...] = ("active", "pending", "rejected", "erasing")
_INTERRUPTED = 130
_MAX_LISTED: Final = 20
_LOCATING_OPTIONS: Final = ("host", "port", "dbname", "database", "user", "service")

_list_option = click.option(
    "--list",
    "lists",
    is_flag=True,
    help=f"List all accounts that need attention, not only the first {_MAX_LISTED} of each kind.",
)


def _parse_store(ctx: click.Context, param: click.Parameter, url: str | None) -> IdentityStore:
    """Return the store that a URL names, not yet entered."""
    try:
        return open_store(url)
    except (ConfigurationError, InvalidInputError, ModuleNotFoundError) as error:
        raise click.BadParameter(str(error), ctx, param) from None


def _parse_optional_store(ctx: click.Context, param: click.Parameter, url: str | None) -> IdentityStore | None:
    """Return the store that a URL names; None where no URL is given and the tables are only to be printed."""
    if url is None and ctx.params.get("prints") and not os.environ.get("MIMI_STORE_URL"):
        return None
    return _parse_store(ctx, param, url)


def _parse_existing_store(ctx: click.Context, param: click.Parameter, url: str | None) -> IdentityStore:
    """Return the store that a URL names; refuse a missing file, which would be created as an empty store."""
    store = _parse_store(ctx, param, url)
    path = _get_file(store)
    if path is not None and not _does_exist(path):
        msg = f"there is no file {path}"
        raise click.BadParameter(msg, ctx, param)
    return store


def _get_file(store: IdentityStore) -> Path | None:
    """Return the file of a `SQLiteStore` or `KeyringStore`, None for another store."""
    return cast("Path | None", getattr(store, "path", None))


def _does_exist(path: Path) -> bool:
    """Return whether a file exists; end the command where the operating system does not answer."""
    try:
        with system_call("stat", path):
            return path.exists()
    except OSError as error:
        msg = f"the identity store can't be opened: {error.strerror}"
    raise click.ClickException(msg)


def find_location(store: IdentityStore, url: str) -> object:
    """Return where the records of a store are. Who logs in, and how, does not count, unless it names the database."""
    address, _, query = url.partition("?")
    shown = redact_dsn(address)
    names_database = shown.count("/") > 2  # else the user names it
    options = sorted(option for option in parse_qsl(query) if option[0] in _LOCATING_OPTIONS)
    return _get_file(store) or (shown if names_database else address, options)


def _locate(parse: Callable[..., IdentityStore]) -> Callable[[click.Context, click.Parameter, str], _LocatedStore]:
    """Wrap a callback that returns a store: the new one also returns where its records are."""

    def parse_and_locate(ctx: click.Context, param: click.Parameter, url: str) -> _LocatedStore:
        store = parse(ctx, param, url)
        return store, find_location(store, url)

    return parse_and_locate


@click.group()
def store() -> None:
    """The stores of anonymousIds, named by URLs.

    sqlite:////var/lib/player/ids.sqlite3, postgresql://user@host/database or keyring://service. The default of STORE is
    MIMI_STORE_URL. Put a password into the environment (PGPASSWORD) or into ~/.pgpass: other users of the machine can
    read a command line.
    """


@store.command("init")
@click.argument("store", metavar="[STORE]", required=False, callback=_parse_optional_store)
@click.option(
    "--print",
    "prints",
    is_flag=True,
    help="Print the SQL of PostgreSQL, for migrations of your own; change nothing. It needs no STORE.",
)
def init_store(store: IdentityStore | None, *, prints: bool) -> None:
    """Create the tables of STORE, or its file, where they are missing. It may run again, and in several processes."""
    if store is None or prints:
        click.echo(_script_of(store), nl=False)
    else:
        asyncio.run(_create(store))


def _script_of(store: IdentityStore | None) -> str:
    """Return the statements that create the tables of a store; of a `PostgresStore` by default."""
    if store is None:
        try:
            from ..stores import PostgresStore
        except ModuleNotFoundError as error:
            raise click.ClickException(str(error)) from None
        return PostgresStore.script()
    if hasattr(store, "script"):
        return cast("str", store.script())
    msg = (
        "--print is for PostgreSQL: another store has no tables that you could create yourself. "
        "Name one: mimi-async store init postgresql://user@host/database --print"
    )
    raise click.UsageError(msg)


async def _create(store: IdentityStore) -> None:
    """Create what a store needs, and report whether it was missing."""
    existed = await _is_created(store)
    await store.init()
    state = {None: "", False: ": it is new, and empty", True: ": it existed, and was kept as it is"}[existed]
    click.echo(f"{store!r} is ready{state}", err=True)


async def _is_created(store: IdentityStore) -> bool | None:
    """Return whether the file or the tables of a store exist; None where it has neither."""
    path = _get_file(store)
    if path is not None:
        return _does_exist(path)
    if not hasattr(store, "script"):
        return None
    try:
        async with store:
            return True
    except ConfigurationError:  # the tables are missing; `init` raises it again for any other reason
        return False


@store.command("check")
@click.argument("store", metavar="[STORE]", required=False, callback=_parse_existing_store)
@_list_option
def check_store(store: IdentityStore, *, lists: bool) -> None:
    """Count what STORE holds; change nothing.

    The exit status is 1 if a record can't be read, or if the name of its account is not in Unicode NFC, so that no
    service can use it. These accounts are listed.

    The accounts of pending records are listed, too: each is a creation whose reply has not arrived yet. Do not copy
    such a store to another machine: both would get the same user.
    """
    audit = _run_with_progress(lambda on_progress: _audit(store, on_progress))
    _print({**{state: audit.states[state] for state in _STATES}, "corrupt": len(audit.corrupt)})
    _print({"pending for over an hour": len(audit.stale)})
    recent = sorted({*audit.pending} - {*audit.stale})
    kinds = {"corrupt": audit.corrupt, "not in NFC": audit.not_nfc, "pending": recent}
    _list({**kinds, "pending for over an hour": audit.stale}, lists=lists)
    sys.exit(1 if audit.corrupt or audit.not_nfc else 0)


@store.command("copy")
@click.argument("source", callback=_locate(_parse_existing_store))
@click.argument("target", callback=_locate(_parse_store))
@_list_option
def copy_store(source: _LocatedStore, target: _LocatedStore, *, lists: bool) -> None:
    """Copy each record of SOURCE into TARGET, and read it back. No record of TARGET is overwritten.

    A copy that was interrupted continues when the command runs again. Services may run during the copy: run it once
    more when they are stopped, before they use TARGET. What SOURCE has forgotten since an earlier run stays in TARGET:
    make the last run into an empty TARGET. The exit status is 1 if TARGET holds a different record for an account, or a
    record can't be read. These accounts are listed.
    """
    (source_store, source_location), (target_store, target_location) = source, target
    if isinstance(target_store, MemoryStore) or source_location == target_location:
        msg = "name a TARGET that is durable, and another store than SOURCE"
        raise click.UsageError(msg)
    copy = _run_with_progress(lambda on_progress: _copy(source_store, target_store, on_progress))
    _print({"copied": copy.copied, "already there": copy.present, "forgotten during the copy": copy.gone})
    _print({"different, kept": len(copy.different), "corrupt": len(copy.corrupt)})
    _list({"different": copy.different, "corrupt": copy.corrupt}, lists=lists)
    sys.exit(0 if copy.is_whole else 1)


async def _audit(store: IdentityStore, on_progress: Callable[[StoreAudit], None]) -> StoreAudit:
    async with store:
        return await audit_store(store, on_progress)


async def _copy(source: IdentityStore, target: IdentityStore, on_progress: Callable[[Copy], None]) -> Copy:
    async with source, target:
        return await copy_records(source, target, on_progress)


def _run_with_progress(work: Callable[[Callable[[Any], None]], Coroutine[Any, Any, _T]]) -> _T:
    """Run a job, and show its progress on a terminal."""
    console = Console(stderr=True)
    try:
        with console.status("0 accounts", spinner="line") as status:
            return asyncio.run(work(lambda progress: status.update(f"{progress.seen:,} accounts")))
    except KeyboardInterrupt:
        click.echo("interrupted; nothing is lost: run the command again", err=True)
    sys.exit(_INTERRUPTED)


def _print(counts: dict[str, int]) -> None:
    for what, count in counts.items():
        click.echo(f"{what:<26}{count:>12,}")


def _list(kinds: Mapping[str, Sequence[str]], *, lists: bool) -> None:
    for kind, accounts in kinds.items():
        shown = len(accounts) if lists else _MAX_LISTED
        for account in sorted(accounts)[:shown]:
            click.echo(f"{kind}: {account!r}")
        if len(accounts) > shown:
            click.echo(f"{kind}: {len(accounts) - shown:,} more accounts, which --list shows, too")
