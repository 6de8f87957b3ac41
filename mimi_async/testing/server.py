"""The identity server for tests: real sockets, a database in a temporary folder, and fault injection."""

import asyncio
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Any, Self

import attrs

from ..databases.affinity import LoopAffinity
from ..errors import ConfigurationError
from ..identity import ClientCredentials
from ..server import Server, Settings
from ..server.api.context import ServerContext
from ..server.locations import SQLiteLocation, load_keys
from ..server.users.repository import new_client
from ..server.users.sqlite import count_users, insert_client
from . import faults
from .faults import Faults, HeldRequests, RecordedRequest, SentReply

PARTNER = "acme"
"""The partner of `IdentityServer.credentials`."""


class IdentityServer:
    """The reference identity server in this process, on a free port of loopback.

    `async with` creates a temporary folder and starts the server; its exit stops the server and removes the folder.
    `stop` and `start` keep port and data, and may be awaited in any event loop. A fault is planned for a path, such as
    "/v1/sessions", or "*", optionally for one method, and for a number of requests, None for all from now on.

    Args:
        settings: The settings of the server; by default loopback, port 0 and no limit of creations.

    Attributes:
        credentials: The credentials of a client of `PARTNER`.
    """

    credentials: ClientCredentials
    _location: SQLiteLocation

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings: Settings = settings or Settings(port=0, creation_limit=None)
        self._faults = Faults()
        self._clients = 0
        self._folder: Path | None = None
        self._server: Server | None = None
        self._affinity = LoopAffinity("the IdentityServer")

    @property
    def url(self) -> str:
        """The URL of the server, which a restart keeps."""
        return self._get_server().url

    @property
    def port(self) -> int:
        """The port of the server, which a restart keeps."""
        return self._get_server().port

    @property
    def context(self) -> ServerContext:
        """The internals of the running server: repository, keys, limits, settings and clock."""
        return self._get_server().context

    @property
    def database(self) -> Path:
        """The path of the SQLite file."""
        self._get_server()
        return self._location.path

    @property
    def users(self) -> int:
        """The number of users in the database, without erased users."""
        with closing(sqlite3.connect(self.database)) as connection:
            return count_users(connection)

    @property
    def requests(self) -> Sequence[RecordedRequest]:
        """The received requests, in order."""
        return self._faults.requests

    async def __aenter__(self) -> Self:
        self._affinity = LoopAffinity("the IdentityServer")
        self._affinity.enter()
        self._folder = Path(tempfile.mkdtemp(prefix="mimi-async-"))
        self._location = SQLiteLocation(self._folder / "users.sqlite3")
        self._server = Server(self._location.path, self.settings, environ={}, wrap=self._faults.wrap)
        try:
            await self._prepare()
            self.credentials = self.new_client()
            await self._server.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def start(self) -> None:
        """Start again, with the same port and data."""
        await self._run_in_own_loop(self._get_server().start())

    async def stop(self) -> None:
        """Stop, after running requests have ended. A second call has no effect."""
        await self._run_in_own_loop(self._get_server().stop())

    def new_client(self, partner: str = PARTNER) -> ClientCredentials:
        """Add a client: another product of the partner, or a product of another partner. Works on a stopped server."""
        self._clients += 1
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            credentials, digest = new_client(self._keys, partner, f"{partner}-{self._clients}")
            insert_client(connection, partner, credentials.client_id, digest)
        return credentials

    def remove_client(self, credentials: ClientCredentials) -> None:
        """Remove a client, whose credentials are then rejected."""
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            connection.execute("DELETE FROM clients WHERE client_id = ?", (credentials.client_id,))

    def revoke_tokens(self) -> None:
        """Reject all existing access tokens until the next start. New tokens are valid."""
        context = self.context
        self._keys = context.keys = attrs.evolve(context.keys, token_keys=(secrets.token_bytes(32),))

    def fail(
        self,
        path: str = "*",
        *,
        status: int = 503,
        times: int | None = 1,
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
        problem: str | None = None,
    ) -> None:
        """Respond with a problem, without processing.

        Args:
            path: The path of the requests.
            status: The status of a problem of the type "about:blank".
            times: The number of requests.
            headers: Further header fields, such as Retry-After.
            method: The method of the requests, None for any.
            problem: A problem type of the contract, such as "unknown-anonymous-id", which has a status of its own.
        """
        self._faults.plan(path, method, times, faults.fail(status, headers or {}, problem))

    def drop_reply(self, path: str = "*", *, times: int | None = 1, method: str | None = None) -> None:
        """Process and commit the request, then close the connection without a reply."""
        self._faults.plan(path, method, times, faults.drop(processed=True))

    def drop_request(self, path: str = "*", *, times: int | None = 1, method: str | None = None) -> None:
        """Close the connection without processing the request."""
        self._faults.plan(path, method, times, faults.drop(processed=False))

    def delay(
        self, path: str = "*", seconds: float = 1.0, *, times: int | None = None, method: str | None = None
    ) -> None:
        """Wait before processing the request."""
        self._faults.plan(path, method, times, faults.delay(seconds))

    def rewrite(
        self,
        path: str,
        change: Callable[[SentReply], SentReply],
        *,
        times: int | None = 1,
        method: str | None = None,
    ) -> None:
        """Process the request, and change the reply, for example by `attrs.evolve`."""
        self._faults.plan(path, method, times, faults.rewrite(change))

    def hold(
        self, path: str = "*", *, method: str | None = None, processed: bool = False
    ) -> AbstractAsyncContextManager[HeldRequests]:
        """Hold requests before they are processed, or before their reply, until the context is left.

        Raises:
            ConfigurationError: The server runs in another event loop.
        """
        self._affinity.check()
        return faults.hold(self._faults, path, method, processed=processed)

    def clear_faults(self) -> None:
        """Remove all planned faults."""
        self._faults.clear_faults()

    def make_unserviceable(self, is_unserviceable: Callable[[str], bool] | None = lambda user_agent: True) -> None:  # noqa: ARG005
        """Respond by a 426 to each User-Agent for which the function is true; None serves all again."""
        context = self.context
        context.settings = attrs.evolve(context.settings, is_unserviceable=is_unserviceable)

    async def _prepare(self) -> None:
        repository = self._location.create_repository(self.settings)
        await repository.open()
        try:
            self._keys = await load_keys(repository, self._location, {})
        finally:
            await repository.close()

    async def _run_in_own_loop(self, call: Coroutine[Any, Any, None]) -> None:
        """Await a coroutine in the event loop of the server."""
        loop = self._affinity.loop
        if loop is None or loop is asyncio.get_running_loop():
            await call
        else:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, loop))

    def _get_server(self) -> Server:
        if self._server is None:
            msg = "enter the IdentityServer first: `async with IdentityServer() as server:`"
            raise ConfigurationError(msg)
        return self._server
