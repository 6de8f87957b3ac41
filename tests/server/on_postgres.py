"""The kit's server on a PostgreSQL, so that the suites of the repository run on both."""

import asyncio
import secrets
from pathlib import Path
from typing import Self

from mimi_async.identity import ClientCredentials
from mimi_async.server import Server, Settings
from mimi_async.server.keyfile import NAMES, load_from_environment
from mimi_async.server.users.repository import new_client
from mimi_async.testing import IdentityServer

from ..postgres_server import Postgres

ADD_CLIENT = "INSERT INTO mimi_server.clients VALUES ('{}', '{}', '\\x{}')"


def an_environment(**changes: str) -> dict[str, str]:
    """Return keys as an operator sets them."""
    return {name: secrets.token_hex(32) for name in NAMES} | changes


ENVIRON = an_environment()


class PostgresIdentityServer(IdentityServer):
    """An `IdentityServer` on a PostgreSQL that runs already; it empties the database when it is entered.

    Attributes:
        dsn: The address of the database.
        environ: Its keys.
    """

    def __init__(self, postgres: Postgres, dsn: str, settings: Settings | None = None) -> None:
        super().__init__(settings)
        self.postgres = postgres
        self.dsn = dsn
        self.environ = ENVIRON

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._server = Server(self.dsn, self.settings, environ=self.environ, wrap=self._faults.wrap)
        keys = load_from_environment(self.environ)
        assert keys is not None
        self._keys = keys
        await self._server.start()
        self.execute("TRUNCATE mimi_server.users, mimi_server.hearing_tests, mimi_server.clients")
        self.credentials = self.new_client()
        return self

    @property
    def database(self) -> Path:
        raise NotImplementedError

    @property
    def users(self) -> int:
        return int(self.execute("SELECT count(user_id) FROM mimi_server.users"))

    def new_client(self, partner: str = "acme") -> ClientCredentials:
        self._clients += 1
        credentials, digest = new_client(self._keys, partner, f"{partner}-{self._clients}")
        self.execute(ADD_CLIENT.format(credentials.client_id, partner, digest.hex()))
        return credentials

    def remove_client(self, credentials: ClientCredentials) -> None:
        self.execute(f"DELETE FROM mimi_server.clients WHERE client_id = '{credentials.client_id}'")

    def execute(self, statement: str) -> str:
        """Have a statement executed; return what psql prints."""
        return self.postgres.execute(statement, self.dsn.rpartition("/")[2])
