"""A statement that proves that it was the statement that was executed.

A pooler that lends a connection for one transaction can make a client execute the prepared statement of another client.
If parameters and columns fit, that statement succeeds.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import attrs

from .errors import WrongStatementError


class Connection(Protocol):
    """A connection of the driver, which carries no types, for a function that may use it until it returns."""

    async def execute(self, query: str, *args: object) -> str:
        """Execute a statement; return its command tag."""

    async def fetch(self, query: str, *args: object) -> Sequence[Any]:
        """Return all rows. With parameters, a `Statement` calls it."""

    async def fetchrow(self, query: str, *args: object) -> Any:
        """Return the first row, or None."""

    async def fetchval(self, query: str, *args: object) -> Any:
        """Return the first column of the first row, or None."""

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Begin a transaction; the exit commits, or rolls back where the body raises."""


@attrs.frozen
class Statement:
    """A statement whose first parameter, and first column of each row, is its verb.

    It fails, and changes nothing, if the parameter is another verb. It returns at least one row; the second column says
    whether the row holds an answer. `prove` returns such a statement.

    Attributes:
        verb: Its name, unique among all statements of this package.
        text: The SQL.
    """

    verb: str
    text: str

    async def fetch(self, connection: Connection, *args: object) -> Sequence[tuple[Any, ...]]:
        """Execute it and return the rows of the answer, without the first two columns.

        Raises:
            WrongStatementError: The answer belongs to another statement. The outcome of a write is unknown.
        """
        rows = await connection.fetch(self.text, self.verb, *args)
        if not rows or any(row[0] != self.verb for row in rows):
            raise WrongStatementError(self.verb)
        return [tuple(row)[2:] for row in rows if row[1]]

    async def fetchrow(self, connection: Connection, *args: object) -> tuple[Any, ...] | None:
        """Execute it and return the first row of the answer, or None."""
        rows = await self.fetch(connection, *args)
        return rows[0] if rows else None

    async def fetchval(self, connection: Connection, *args: object) -> Any:
        """Execute it and return the first column of the first row of the answer, or None."""
        row = await self.fetchrow(connection, *args)
        return None if row is None else row[0]


def prove(verb: str, query: str, *, steps: str = "", condition: str = "true", order: str = "") -> Statement:
    """Return a query as a `Statement`; its own parameters begin with $2.

    Args:
        verb: The statement's name.
        query: The query that returns the answer.
        steps: The WITH clause that the query reads from; it may change rows.
        condition: A condition that fails if rows may be missing, see `require_all_rows`.
        order: The ORDER BY clause, by names of columns of the query.
    """
    text = f"""{steps}
SELECT '{verb}' AS verb, answer.* FROM (VALUES (1)) AS one
LEFT JOIN (SELECT true AS is_row, q.* FROM ({query}) AS q) AS answer ON true
WHERE {is_verb(verb)} AND {condition} {order}"""  # noqa: S608 - ours
    return Statement(verb, text)


def is_verb(verb: str) -> str:
    """Return an SQL condition that is true if the first parameter is this verb, and fails with 22P02 otherwise."""
    return f"CAST(CASE $1::text WHEN '{verb}' THEN 'true' ELSE 'parameters of another statement' END AS boolean)"
