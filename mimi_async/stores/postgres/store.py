"""The store: the statement of each verb, and the meaning of its answer."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Final, Self, TypeAlias

from ...databases.postgres import Address, Connection, Database, Listener, Source, Statement
from ...errors import StoreCorruptError
from ..base import Change, DamagedIdentity, IdentityStore, StoredIdentity
from .own_changes import OwnChangeFilter, name_deletion, name_replacement
from .statements import Statements, make_schema, read_found, values_of

_SCHEMA: Final = "mimi_store"
_PAGE: Final = 1_000

_Found: TypeAlias = "StoredIdentity | StoreCorruptError | None"


class PostgresStore(IdentityStore):
    """A store in tables of its own in a PostgreSQL database (14 or newer), with the encoding UTF8.

    `init`, `mimi-async store init`, or your own migrations from `script` create them; entering the store does not. The
    change of a verb is committed when it returns; with `synchronous_commit` off, which is a setting of the server, a
    crash of the server may still lose it, and a user with it: leave it on.

    The parameters of its statements hold anonymousIds and create keys: where PostgreSQL logs statements, or slow ones,
    set `log_parameter_max_length = 0`, or put a `SealedStore` around it.

    Args:
        source: The address, `postgresql://user:password@host:5432/database`: a pool of at most 10 connections is opened
            and closed. Or an `asyncpg.Pool`, which is used and never closed. Behind a pooler that passes names of
            prepared statements on, such as PgBouncer without `max_prepared_statements`, a pool needs
            `statement_cache_size=0`; for an address this is detected.
        schema: The schema of the tables.
        listen: An address for `changes`, where `source` leads to a pooler that lends a connection for one transaction.
            By default the address of `source`. While `changes` is iterated, one connection listens; where only a pool
            is given, it is a connection of the pool, which needs two at least.
        timeout: Seconds of a verb, including the wait for a free connection and further attempts.
        connect_timeout: Seconds to wait for a new connection.
        heartbeat: Seconds of silence, up to twice as many, after which `changes` tests its connection, and seconds
            within which the test must succeed.
    """

    def __init__(
        self,
        source: Source,
        *,
        schema: str = _SCHEMA,
        listen: str | None = None,
        timeout: float = 10.0,
        connect_timeout: float = 5.0,
        heartbeat: float = 5.0,
    ) -> None:
        self._database = Database(source, make_schema(schema), timeout=timeout, connect_timeout=connect_timeout)
        self._statements = Statements(schema)
        self._own = OwnChangeFilter(
            lambda change: self._listener.publish(change), lambda: self._listener.subscribers > 1
        )
        self._listener = Listener(
            self._database,
            schema,
            self._own.read,
            missed=Change(None),
            address=None if listen is None else Address(listen),
            heartbeat=heartbeat,
        )

    def __repr__(self) -> str:
        return f"PostgresStore({self._database.location}, schema={self._database.schema.name!r})"

    @staticmethod
    def script(schema: str = _SCHEMA) -> str:
        """Return the statements that create the tables, for your own migrations. They may be run again.

        Raises:
            ConfigurationError: The name of the schema would need quotes.
        """
        return make_schema(schema).script

    async def init(self) -> None:
        """Create the tables where they are missing; safe from many processes at once. The store need not be entered.

        Raises:
            ConfigurationError: The tables are of a newer version than this program.
            StoreUnavailableError: The database does not answer, or this user may not create them.
        """
        await self._database.open(create=True)
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
        return _raise_damage(await self._fetch(self._statements.load, account))

    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        # Where the answer is lost, the claim is repeated: a record that was forgotten in between is written again.
        with self._own.expect(name_replacement(record.revision)):
            found = await self._fetch(self._statements.claim, account, lambda: values_of(account, record))
        return _raise_damage(found) or record

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        if expected is None:
            return await self.claim(account, new)
        revision, statement = expected.revision, self._statements.replace
        with self._own.expect(name_replacement(new.revision)):
            found = await self._fetch(statement, account, lambda: (revision, *values_of(account, new)))
        return _raise_damage(found)

    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        if expected is None:
            return await self.load(account)
        if isinstance(expected, DamagedIdentity):
            return _raise_damage(await self._database.run(partial(self._move_damage, account, expected.revision)))
        return await self._take(self._statements.forget, account, expected.revision)

    async def quarantine(self, account: str, expected: StoredIdentity) -> StoredIdentity | None:
        return await self._take(self._statements.quarantine, account, expected.revision)

    async def changes(self) -> AsyncIterator[Change]:
        """Yield the changes of other stores, and those made by hand: see `IdentityStore.changes`.

        A `Change(None)` is the first, once the store listens. One connection listens for all iterators; where there are
        several, they also yield the changes of this store.
        """
        async with aclosing(self._listener.messages()) as changes:
            async for change in changes:
                yield change

    async def accounts(self) -> AsyncIterator[str]:
        last = ""
        while page := await self._database.run(partial(self._list_accounts_after, last)):
            for account in page:
                yield account
            last = page[-1]

    async def _take(self, statement: Statement, account: str, revision: bytes) -> StoredIdentity | None:
        with self._own.expect(name_deletion(revision)):
            found = await self._fetch(statement, account, lambda: (revision,))
        return _raise_damage(found)

    async def _fetch(
        self, statement: Statement, account: str, values: Callable[[], Sequence[object]] = tuple
    ) -> _Found:
        """Return what a statement finds. Its values are secrets: no frame that an error passes through holds them."""

        async def fetch(connection: Connection) -> _Found:
            return read_found(account, await statement.fetchrow(connection, account, *values()))

        return await self._database.run(fetch)

    async def _move_damage(self, account: str, revision: bytes, connection: Connection) -> _Found:
        row = await self._statements.load.fetchrow(connection, account)
        found = read_found(account, row)
        if row is None or not isinstance(found, StoreCorruptError) or found.revision != revision:
            return found
        with self._own.expect(name_deletion(row[3])):  # by all columns: a row that another process changed is kept
            row = await self._statements.move_damage.fetchrow(connection, account, *row[:6])
        return read_found(account, row)

    async def _list_accounts_after(self, last: str, connection: Connection) -> list[str]:
        rows = await self._statements.accounts.fetch(connection, last, _PAGE)
        try:
            return [row[0].decode() for row in rows]
        except UnicodeDecodeError:
            pass
        msg = "the name of an account can't be read; the store was kept as it is: restore a backup"
        raise StoreCorruptError(msg)


def _raise_damage(found: _Found) -> StoredIdentity | None:
    if isinstance(found, StoreCorruptError):
        raise found
    return found
