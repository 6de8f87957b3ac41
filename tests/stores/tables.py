"""Tables of a test's own in a PostgreSQL that all tests share."""

import asyncio
import uuid
from typing import Any, Self

import asyncpg
import attrs

from mimi_async.databases.postgres import Database
from mimi_async.databases.postgres.statement import Connection
from mimi_async.stores import PostgresStore
from mimi_async.stores.postgres.statements import Statements

from ..postgres_server import Postgres


@attrs.frozen
class Tables:
    """A schema with the tables of a store. `{t}` in a statement is its identities, `{a}` is its quarantine."""

    postgres: Postgres
    schema: str

    @classmethod
    def make(cls, postgres: Postgres) -> Self:
        tables = cls(postgres, f"s{uuid.uuid4().hex[:16]}")
        postgres.execute(PostgresStore.script(tables.schema))
        return tables

    @property
    def dsn(self) -> str:
        return self.postgres.dsn

    def execute(self, statement: str) -> str:
        """Execute a statement by hand, outside the store."""
        return self.postgres.execute(statement.format(t=f"{self.schema}.identities", a=f"{self.schema}.quarantine"))

    def store(self, **settings: Any) -> "OpenPostgresStore":
        return OpenPostgresStore(self.dsn, schema=self.schema, **settings)

    def pooled(self, **settings: Any) -> "PooledStore":
        return PooledStore(self, settings)

    def connections(self) -> int:
        """How many connections of ours there are to the whole server."""
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mimi-async'"
        return int(self.postgres.execute(count))


class OpenPostgresStore(PostgresStore):
    """A store whose database, statements and listener a test may replace."""

    @property
    def database(self) -> Database:
        return self._database

    @property
    def statements(self) -> Statements:
        return self._statements

    def stop_closing(self) -> None:
        """Let the listener never end."""
        self._listener.close = asyncio.Event().wait  # type: ignore[method-assign, assignment]

    async def move_damage(self, account: str, revision: bytes, connection: Connection) -> object:
        return await self._move_damage(account, revision, connection)


class PooledStore(PostgresStore):
    """A store on a pool of the host's, which is opened and closed with it here."""

    def __init__(self, tables: Tables, settings: dict[str, Any]) -> None:
        self.pool = asyncpg.create_pool(tables.dsn, **{"min_size": 0, "max_size": 5, **settings})
        super().__init__(self.pool, schema=tables.schema)

    async def __aenter__(self) -> Self:
        await self.pool
        return await super().__aenter__()

    async def __aexit__(self, *exc_info: object) -> None:
        await super().__aexit__(*exc_info)
        if not self._database.entries:
            await self.pool.close()
