"""The kit's server on a PostgreSQL, so that the suites of the book run on both."""

import asyncio
import secrets
from pathlib import Path
from typing import Self

from examples.partner_cluster.postgres import Postgres
from mimi_async.identity import ClientCredentials
from mimi_async.server import Server, Settings
from mimi_async.server.keyfile import NAMES, from_environment
from mimi_async.server.users import new_client
from mimi_async.testing import IdentityServer

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
        self._server = Server(self.dsn, self.settings, environ=self.environ, around=self._faults.around)
        keys = from_environment(self.environ)
        assert keys is not None
        self._keys = keys
        await self._server.start()
        self.tell("TRUNCATE mimi_server.users, mimi_server.hearing_tests, mimi_server.clients")
        self.credentials = self.new_client()
        return self

    @property
    def database(self) -> Path:
        raise NotImplementedError

    @property
    def users(self) -> int:
        return int(self.tell("SELECT count(user_id) FROM mimi_server.users"))

    def new_client(self, partner: str = "acme") -> ClientCredentials:
        self._clients += 1
        credentials, digest = new_client(self._keys, partner, f"{partner}-{self._clients}")
        self.tell(ADD_CLIENT.format(credentials.client_id, partner, digest.hex()))
        return credentials

    def remove_client(self, credentials: ClientCredentials) -> None:
        self.tell(f"DELETE FROM mimi_server.clients WHERE client_id = '{credentials.client_id}'")

    def tell(self, statement: str) -> str:
        """Have a statement executed; return what psql prints."""
        return self.postgres.tell(statement, self.dsn.rpartition("/")[2])
