"""The real server for tests: real sockets, a real database in a temporary folder, and faults on demand."""

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

from ..errors import ConfigurationError
from ..identity import ClientCredentials
from ..server import Server, Settings
from ..server.places import FilePlace, keys_of
from ..server.sqlite import count_users, insert_client
from ..server.users import new_client
from .faults import (
    Faults,
    Held,
    RecordedRequest,
    SentReply,
    delaying,
    dropping_reply,
    dropping_request,
    failing,
    holding,
    rewriting,
)

PARTNER = "acme"
"""The partner that `IdentityServer.credentials` belong to."""


class IdentityServer:
    """The reference identity server in this process, on a free port of loopback.

    `async with` makes the temporary folder, starts, stops and removes the folder. `stop` and `start` within it keep
    port and data, and may be awaited in any event loop. Faults are planned for a path, such as "/v1/sessions", or for
    "*", optionally for one method, and for a number of requests, None for all of them from now on.

    Args:
        settings: How the server is set up; on loopback, port 0 and without a limit of creations by default.

    Attributes:
        credentials: Those of a client of `PARTNER`.
    """

    credentials: ClientCredentials
    _place: FilePlace

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings: Settings = settings or Settings(port=0, creation_limit=None)
        self._faults = Faults()
        self._clients = 0
        self._folder: Path | None = None
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """The server's address; the same after a restart."""
        return self._entered().url

    @property
    def database(self) -> Path:
        """The SQLite file."""
        self._entered()
        return self._place.path

    @property
    def users(self) -> int:
        """How many users the database holds; those that were erased are none."""
        with closing(sqlite3.connect(self.database)) as connection:
            return count_users(connection)

    @property
    def requests(self) -> Sequence[RecordedRequest]:
        """What arrived, in order."""
        return self._faults.requests

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._folder = Path(tempfile.mkdtemp(prefix="mimi-async-"))
        self._place = FilePlace(self._folder / "users.sqlite3")
        self._server = Server(self._place.path, self.settings, environ={}, around=self._faults.around)
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
        """Start again: the same port, the same data."""
        await self._at_home(self._entered().start())

    async def stop(self) -> None:
        """Stop; what is under way may end. Stopping twice is fine."""
        await self._at_home(self._entered().stop())

    def new_client(self, partner: str = PARTNER) -> ClientCredentials:
        """Add a client: another product of the partner, or one of another partner. The server need not run."""
        self._clients += 1
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            credentials, digest = new_client(self._keys, partner, f"{partner}-{self._clients}")
            insert_client(connection, partner, credentials.client_id, digest)
        return credentials

    def remove_client(self, credentials: ClientCredentials) -> None:
        """Remove a client: its credentials are rejected from now on."""
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            connection.execute("DELETE FROM clients WHERE client_id = ?", (credentials.client_id,))

    def revoke_tokens(self) -> None:
        """Let every access token that was given out be rejected, until the next start; new ones are fine."""
        desk = self._entered().desk
        self._keys = desk.keys = attrs.evolve(desk.keys, token_keys=(secrets.token_bytes(32),))

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
        """Answer without processing.

        Args:
            path: Of which requests.
            status: By which status; a problem of the type "about:blank".
            times: How many.
            headers: Further fields, such as Retry-After.
            method: Only of this method.
            problem: A problem type of the contract instead, such as "unknown-anonymous-id", with its own status.
        """
        self._faults.plan(path, method, times, failing(status, headers or {}, problem))

    def drop_reply(self, path: str = "*", *, times: int | None = 1, method: str | None = None) -> None:
        """Process and commit, then cut the connection without a reply."""
        self._faults.plan(path, method, times, dropping_reply)

    def drop_request(self, path: str = "*", *, times: int | None = 1, method: str | None = None) -> None:
        """Cut the connection without processing."""
        self._faults.plan(path, method, times, dropping_request)

    def delay(
        self, path: str = "*", seconds: float = 1.0, *, times: int | None = None, method: str | None = None
    ) -> None:
        """Wait before processing."""
        self._faults.plan(path, method, times, delaying(seconds))

    def rewrite(
        self,
        path: str,
        change: Callable[[SentReply], SentReply],
        *,
        times: int | None = 1,
        method: str | None = None,
    ) -> None:
        """Process, and change the reply, by `attrs.evolve` for example."""
        self._faults.plan(path, method, times, rewriting(change))

    def hold(
        self, path: str = "*", *, method: str | None = None, processed: bool = False
    ) -> AbstractAsyncContextManager[Held]:
        """Hold requests before they are processed, or after, until the context is left. In the server's loop only."""
        return holding(self._faults, path, method, processed=processed)

    def heal(self) -> None:
        """Forget all faults that were planned."""
        self._faults.heal()

    def make_unserviceable(self, told: Callable[[str], bool] | None = lambda user_agent: True) -> None:  # noqa: ARG005
        """Answer 426 to each User-Agent of which this is told; None serves all again."""
        desk = self._entered().desk
        desk.settings = attrs.evolve(desk.settings, unserviceable=told)

    async def _prepare(self) -> None:
        book = self._place.book(self.settings)
        await book.open()
        try:
            self._keys = await keys_of(book, self._place, {})
        finally:
            await book.close()

    async def _at_home(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the loop that the server lives in."""
        if self._loop is None or self._loop is asyncio.get_running_loop():
            await work
        else:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _entered(self) -> Server:
        if self._server is None:
            msg = "enter the IdentityServer first: `async with IdentityServer() as server:`"
            raise ConfigurationError(msg)
        return self._server
