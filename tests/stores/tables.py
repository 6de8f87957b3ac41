"""Tables of a test's own in a PostgreSQL that all tests share."""

import uuid
from typing import Any, Self

import asyncpg
import attrs

from examples.partner_cluster.postgres import Postgres
from mimi_async.stores import PostgresStore


@attrs.frozen
class Tables:
    """A schema with the tables of a store. `{t}` in a statement is its identities, `{a}` is what was set aside."""

    postgres: Postgres
    schema: str

    @classmethod
    def make(cls, postgres: Postgres) -> Self:
        tables = cls(postgres, f"s{uuid.uuid4().hex[:16]}")
        postgres.tell(PostgresStore.script(tables.schema))
        return tables

    @property
    def dsn(self) -> str:
        return self.postgres.dsn

    def tell(self, statement: str) -> str:
        """Have somebody execute a statement by hand."""
        return self.postgres.tell(statement.format(t=f"{self.schema}.identities", a=f"{self.schema}.set_aside"))

    def store(self, **settings: Any) -> PostgresStore:
        return PostgresStore(self.dsn, schema=self.schema, **settings)

    def pooled(self, **settings: Any) -> "PooledStore":
        return PooledStore(self, settings)

    def connections(self) -> int:
        """How many connections of ours there are to the whole server."""
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mimi-async'"
        return int(self.postgres.tell(count))


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
