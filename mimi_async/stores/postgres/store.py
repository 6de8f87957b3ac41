"""The store: which statement a verb is, and what its answer means."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Final, Self, TypeAlias

from ...errors import StoreCorruptError
from ...postgres import Address, Connection, Database, Listener, Source
from ..base import Change, DamagedIdentity, IdentityStore, StoredIdentity
from .news import OwnChanges, deletion_of, replacement_by
from .statements import Statements, damage_of, found_in, schema_of, values_of

_SCHEMA: Final = "mimi_store"
_PAGE: Final = 1_000

_Found: TypeAlias = "StoredIdentity | StoreCorruptError | None"


class PostgresStore(IdentityStore):
    """Keeps the records in tables of their own in a PostgreSQL database (14 or newer), with the encoding UTF8.

    They are made by `init`, `mimi-async store init`, or your own migrations from `script`; entering the store makes
    none. What a verb has changed is committed when it returns; with `synchronous_commit` off, which is the server's
    setting, a crash of the server may still lose it, and a user with it: leave it on.

    The parameters of its statements hold anonymousIds and create keys: where PostgreSQL logs statements, or slow ones,
    set `log_parameter_max_length = 0`, or put a `SealedStore` around it.

    Args:
        source: The address, `postgresql://user:password@host:5432/database`: a pool of at most 10 connections is opened
            and closed. Or an `asyncpg.Pool`, which is only used.
        schema: Where the tables are.
        listen: An address for `changes`, where the one above leads to a pooler that lends a connection for no longer
            than a transaction. By default that of `source`. While `changes` is iterated, one connection listens; where
            only a pool is given, it is one of the pool's, which needs two at least.
        seconds: How long a verb waits for the database, at most.
    """

    def __init__(
        self, source: Source, *, schema: str = _SCHEMA, listen: str | None = None, seconds: float = 10.0
    ) -> None:
        self._database = Database(source, schema_of(schema), seconds=seconds)
        self._statements = Statements(schema)
        self._own = OwnChanges(lambda change: self._listener.tell(change), lambda: self._listener.listening > 1)
        address = None if listen is None else Address(listen)
        self._listener = Listener(self._database, schema, self._own.read, missed=Change(None), address=address)

    def __repr__(self) -> str:
        return f"PostgresStore({self._database.place}, schema={self._database.schema.name!r})"

    @staticmethod
    def script(schema: str = _SCHEMA) -> str:
        """Return the statements that make the tables, for those who run their own migrations. They may be run again.

        Raises:
            ConfigurationError: It is no plain name for a schema.
        """
        return schema_of(schema).script

    async def init(self) -> None:
        """Make the tables where they are missing; safe from many processes at once. Needs no entering.

        Raises:
            ConfigurationError: They are of a newer version than this program.
            StoreUnavailableError: The database does not answer, or this user may not make them.
        """
        await self._database.open(make=True)
        await self._database.close()

    async def __aenter__(self) -> Self:
        await self._database.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            if self._database.entries == 1:
                await self._listener.close()
        finally:
            await self._database.close()

    async def load(self, account: str) -> StoredIdentity | None:
        return _told(await self._found(self._statements.load, account))

    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        # Where the answer is lost, it is claimed again; what somebody has set down in that instant is there again then.
        with self._own.making(replacement_by(record.revision)):
            found = await self._found(self._statements.claim, account, lambda: values_of(account, record))
        return _told(found) or record

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        if expected is None:
            return await self.claim(account, new)
        revision, statement = expected.revision, self._statements.replace
        with self._own.making(replacement_by(new.revision)):
            found = await self._found(statement, account, lambda: (revision, *values_of(account, new)))
        return _told(found)

    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        if expected is None:
            return await self.load(account)
        if isinstance(expected, DamagedIdentity):
            return _told(await self._database.run(partial(self._damage_moved, account, expected.revision)))
        return await self._taken(self._statements.forget, account, expected.revision)

    async def set_aside(self, account: str, expected: StoredIdentity) -> StoredIdentity | None:
        return await self._taken(self._statements.set_aside, account, expected.revision)

    async def changes(self) -> AsyncIterator[Change]:
        """Yield the news of what other stores, or somebody by hand, have changed: see `IdentityStore.changes`.

        A `Change(None)` comes first, once it listens. One connection listens for all who iterate; several of them
        hear of the changes of this store, too.
        """
        async with aclosing(self._listener.news()) as news:
            async for change in news:
                yield change

    async def accounts(self) -> AsyncIterator[str]:
        last = ""
        while page := await self._database.run(partial(self._page_after, last)):
            for account in page:
                yield account
            last = page[-1]

    async def _taken(self, statement: str, account: str, revision: bytes) -> StoredIdentity | None:
        with self._own.making(deletion_of(revision)):
            found = await self._found(statement, account, lambda: (revision,))
        return _told(found)

    async def _found(self, statement: str, account: str, values: Callable[[], Sequence[object]] = tuple) -> _Found:
        """Return what a statement finds; its values are secrets, which no frame holds that an error goes through."""

        async def work(connection: Connection) -> _Found:
            return found_in(account, await connection.fetchrow(statement, account, *values()))

        return await self._database.run(work)

    async def _damage_moved(self, account: str, revision: bytes, connection: Connection) -> _Found:
        row = await connection.fetchrow(self._statements.load, account)
        found = found_in(account, row)
        if not isinstance(found, StoreCorruptError) or found.revision != revision:
            return found
        with self._own.making(deletion_of(row[3])):
            row = await connection.fetchrow(self._statements.move_damage, account, *damage_of(row))
        return found_in(account, row)

    async def _page_after(self, last: str, connection: Connection) -> list[str]:
        rows = await connection.fetch(self._statements.accounts, last, _PAGE)
        try:
            return [row[0].decode() for row in rows if row[0] is not None]
        except UnicodeDecodeError:
            pass
        msg = "the name of an account can't be read; the store was kept as it is: restore a backup"
        raise StoreCorruptError(msg)


def _told(found: _Found) -> StoredIdentity | None:
    if isinstance(found, StoreCorruptError):
        raise found
    return found
