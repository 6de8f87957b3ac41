"""The tables that a database must hold, as statements that a partner may read and run."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from ...errors import ConfigurationError
from .errors import MISSING
from .statement import Connection, Statement, prove

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,39}", re.ASCII)

LOCK: Final = prove("lock", "SELECT pg_advisory_xact_lock(hashtext($2))")
"""One process at a time creates or migrates tables."""

_VERSION_TABLE = """
CREATE TABLE IF NOT EXISTS {schema}.version (
    version integer NOT NULL PRIMARY KEY,
    is_the_only_one boolean NOT NULL DEFAULT true UNIQUE CHECK (is_the_only_one)
)"""


def _validate_name(_: object, attribute: "attrs.Attribute[str]", name: str) -> None:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        msg = f"the {attribute.name} of a schema is 1 to 40 characters of a-z, 0-9 and '_', and begins with no digit"
        raise ConfigurationError(msg)


@attrs.frozen
class Schema:
    """The tables of one purpose, in a schema of their own (PostgreSQL, 5.10) beside the other tables of the database.

    Attributes:
        name: The name of the schema.
        purpose: What it holds, for messages: "identity store".
        version: The version of the tables; a program refuses newer tables.
        statements: Create the tables; "{schema}" stands for the name.
        remedy: What to do where the tables are missing or older, for messages.
        migrations: Version → the statements that turn its tables into those of the next version.
    """

    name: str = attrs.field(validator=_validate_name)
    purpose: str
    version: int
    statements: Sequence[str]
    remedy: str
    migrations: Mapping[int, Sequence[str]] = attrs.field(factory=dict)

    @property
    def ddl(self) -> Sequence[str]:
        """The statements that create the schema, in order; each may be run again."""
        name = self.name
        return (
            f"CREATE SCHEMA IF NOT EXISTS {name}",
            *(statement.format(schema=name) for statement in self.statements),
            _VERSION_TABLE.format(schema=name),
            f"INSERT INTO {name}.version VALUES ({self.version}) ON CONFLICT DO NOTHING",  # noqa: S608 - ours
        )

    @property
    def script(self) -> str:
        """The statements of `ddl` as a text for a partner's own migrations."""
        return "".join(f"{statement.strip()};\n" for statement in ("BEGIN", *self.ddl, "COMMIT"))

    @property
    def select_version(self) -> Statement:
        """The statement that reads the version."""
        return prove("select_version", f"SELECT version FROM {self.name}.version")  # noqa: S608 - the name was checked

    async def read_version(self, connection: Connection) -> int | None:
        """Return the version of the tables, None where they are missing."""
        try:
            version: int | None = await self.select_version.fetchval(connection)
        except MISSING:
            return None
        return version

    async def create(self, connection: Connection) -> None:
        """Create the tables that are missing."""
        async with connection.transaction():
            await LOCK.fetch(connection, self.name)
            for statement in self.ddl:
                await connection.execute(statement)

    async def migrate(self, connection: Connection) -> int:
        """Migrate older tables to the newest version; return the version that they have now."""
        async with connection.transaction():
            await LOCK.fetch(connection, self.name)
            version: int = await self.select_version.fetchval(connection)
            for number in range(version, self.version):
                for statement in (*self.migrations[number], "UPDATE {schema}.version SET version = version + 1"):
                    await connection.execute(statement.format(schema=self.name))
        return max(version, self.version)


def require_all_rows(*tables: str) -> str:
    """Return a condition of a statement that reads: it fails, by a division by zero, where rows may be missing.

    Rows may be missing on a replica, which may lag, and where row security hides rows. As a part of the statement, the
    condition also holds behind a pooler, which may send each statement to another server. PostgreSQL does not evaluate
    it where it knows otherwise that there is no row: select from a table that always has a row, and join the others.
    """
    hides = "".join(f" OR row_security_active('{table}')" for table in tables)
    return f"(SELECT 1 / (NOT (pg_is_in_recovery(){hides}))::int) = 1"
