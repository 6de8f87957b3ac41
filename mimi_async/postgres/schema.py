"""What a database must hold before it is used, as statements that anybody may read and run."""

import re
from collections.abc import Sequence

import attrs

from ..errors import ConfigurationError

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,39}", re.ASCII)

_VERSION_TABLE = """
CREATE TABLE IF NOT EXISTS {schema}.version (
    version integer NOT NULL PRIMARY KEY,
    is_the_only_one boolean NOT NULL DEFAULT true UNIQUE CHECK (is_the_only_one)
)"""


def _is_plain(_: object, attribute: "attrs.Attribute[str]", name: str) -> None:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        msg = f"the {attribute.name} of a schema is 1 to 40 characters of a-z, 0-9 and '_', not beginning with a digit"
        raise ConfigurationError(msg)


@attrs.frozen
class Schema:
    """The tables of one purpose, in a schema of their own (PostgreSQL, 5.10) beside whatever else the database holds.

    Attributes:
        name: The schema's.
        purpose: For messages: "identity store".
        version: Of the tables: a program refuses those of a newer one.
        statements: What makes them, "{schema}" standing for the name.
        remedy: What to do where they are missing.
    """

    name: str = attrs.field(validator=_is_plain)
    purpose: str
    version: int
    statements: Sequence[str]
    remedy: str

    @property
    def ddl(self) -> Sequence[str]:
        """The statements that make it, in order; each may be run again."""
        name = self.name
        return (
            f"CREATE SCHEMA IF NOT EXISTS {name}",
            *(statement.format(schema=name) for statement in self.statements),
            _VERSION_TABLE.format(schema=name),
            f"INSERT INTO {name}.version VALUES ({self.version}) ON CONFLICT DO NOTHING",  # noqa: S608 - ours
        )

    @property
    def script(self) -> str:
        """The same as a text for a partner's own migrations."""
        return "".join(f"{statement.strip()};\n" for statement in ("BEGIN", *self.ddl, "COMMIT"))

    @property
    def select_version(self) -> str:
        """How its version is read."""
        return f"SELECT version FROM {self.name}.version"  # noqa: S608 - the name was checked


def whole(*tables: str) -> str:
    """Return a condition of a statement that reads: it fails, by a division by zero, where rows may be missing.

    That is on a replica, which may lag behind, and where row security hides rows. Asked within the statement, it also
    holds behind a pooler, which may lead each statement to another server. Where PostgreSQL knows without it that there
    is no row it is not asked: read from something that always has one, and join what may have none.
    """
    hides = "".join(f" OR row_security_active('{table}')" for table in tables)
    return f"(SELECT 1 / (NOT (pg_is_in_recovery(){hides}))::int) = 1"
