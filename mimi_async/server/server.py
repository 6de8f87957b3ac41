"""The server: its sockets, its database and its keys."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from typing import Final, Self

from ..errors import ConfigurationError
from .api.app import Handler, make_app
from .api.connections import ConnectionServer
from .api.context import ServerContext
from .keys import Keys
from .locations import DatabaseLocation, load_keys, parse_location
from .rate_limits import LeakyBucket, RateLimits
from .settings import Settings
from .users.repository import DEV_CLIENT, DEV_PARTNER, UserRepository

BACKLOG: Final = 1024

_OTHER_ADDRESS = "choose an address of this machine, such as 127.0.0.1"
_REMEDIES: Final = {
    errno.EADDRINUSE: "choose another, or 0 for any free one",
    errno.EACCES: "ports below 1024 need the right to bind them: choose another, such as 8765",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
}

_log = logging.getLogger(__name__)


def open_sockets(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on every address of a host, all on one port; port 0 chooses a free port.

    Raises:
        ConfigurationError: The port is in use, or the host has no such address.
    """
    with ExitStack() as stack:
        try:
            sockets: list[socket.socket] = []
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, (name, _, *scope) in dict.fromkeys((info[0], info[4]) for info in infos):
                address = (name, sockets[0].getsockname()[1] if sockets else port, *scope)
                sockets.append(stack.enter_context(socket.create_server(address, family=family, backlog=BACKLOG)))
        except OSError as error:
            reason = (error.strerror or "no such address").partition(" (while")[0]
            msg = f"can't listen on {host} port {port}: {reason}; {_REMEDIES.get(error.errno or 0, _OTHER_ADDRESS)}"
        else:
            stack.pop_all()
            return sockets
    raise ConfigurationError(msg)


class Server:
    """The identity server in this process and event loop, as an async context manager.

    Args:
        database: The path or URL of a SQLite file, whose keys are in the environment or in a file of mode 0600 beside
            it; or the URL of a PostgreSQL database, `postgresql://…`, whose keys are in the environment.
        settings: The settings.
        environ: The variables that may hold the keys; the environment of the process by default.
        wrap: Wraps the handler of all requests, for tests that inject faults.
        sockets: Listening sockets, instead of the settings' host and port. The server closes them when it stops.

    Attributes:
        port: The port of the server. A port that was chosen for 0 is kept at a restart.
    """

    def __init__(
        self,
        database: str | os.PathLike[str] | DatabaseLocation,
        settings: Settings | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        wrap: Callable[[Handler], Handler] = lambda handler: handler,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        self.settings: Settings = settings or Settings()
        self.location: DatabaseLocation = parse_location(database)
        self._environ = os.environ if environ is None else environ
        self._wrap = wrap
        self._stack: AsyncExitStack | None = None
        self._sockets = sockets
        self.port: int = sockets[0].getsockname()[1] if sockets else self.settings.port

    @property
    def url(self) -> str:
        """The URL of the server, for `MimiCore(server=…)`."""
        scheme = "http" if self.settings.tls is None else "https"
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"{scheme}://{host}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the database and start to listen.

        Raises:
            ConfigurationError: Settings, keys or clients do not allow the start, or the port is in use.
            StoreError: The database cannot be opened.
        """
        self.settings.check_address()
        async with AsyncExitStack() as stack:
            repository = self.location.create_repository(self.settings)
            await repository.open()
            stack.push_async_callback(repository.close)
            keys = await load_keys(repository, self.location, self._environ)
            await self._check_clients(repository, keys)
            limits = RateLimits(LeakyBucket(self.settings.creation_limit, exempt=DEV_CLIENT.client_id))
            context = ServerContext(repository=repository, keys=keys, limits=limits, settings=self.settings)
            await self._listen(self._wrap(make_app(context)), stack)
            self.context = context
            self._stack = stack.pop_all()

    async def stop(self) -> None:
        """Stop to listen, wait for running requests, and close the database. A second call has no effect."""
        if self._stack is not None:
            stack, self._stack = self._stack, None
            await stack.aclose()

    async def _check_clients(self, repository: UserRepository, keys: Keys) -> None:
        client_ids = await repository.clients()
        self.settings.check_clients(client_ids)
        if client_ids:
            return
        digest = keys.digest_client_secret(DEV_CLIENT.secret)
        if await repository.add_first_client(DEV_PARTNER, DEV_CLIENT.client_id, digest):
            _log.warning("the database had no client: %r was added, for this machine only", DEV_CLIENT.client_id)

    async def _listen(self, handler: Handler, stack: AsyncExitStack) -> None:
        connections = ConnectionServer(handler, self.settings)
        sockets = self._sockets or await asyncio.to_thread(open_sockets, self.settings.host, self.port)
        self.port = sockets[0].getsockname()[1]
        tls, loop = self.settings.tls, asyncio.get_running_loop()
        timeout = None if tls is None else self.settings.header_seconds
        listeners = [
            await loop.create_server(connections, sock=each, ssl=tls, ssl_handshake_timeout=timeout, backlog=BACKLOG)
            for each in sockets
        ]
        stack.push_async_callback(connections.shutdown, self.settings.stop_seconds)
        stack.callback(connections.pre_shutdown)
        stack.push_async_callback(_stop_listening, listeners)


async def _stop_listening(listeners: Sequence[asyncio.Server]) -> None:
    """Stop to accept connections, after the connections that were accepted have started.

    In Python 3.11 a listener that is closed during an accept leaves that connection open and unread.
    """
    for listener in listeners:
        for accepting in listener.sockets:
            asyncio.get_running_loop().remove_reader(accepting.fileno())
    for _ in range(3):  # accept, create the transport, wait for a request
        await asyncio.sleep(0)
    for listener in listeners:
        listener.close()
