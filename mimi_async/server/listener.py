"""The server: a socket, a database, and the keys that belong to it."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from typing import Any, Final, Self

from ..errors import ConfigurationError
from .app import Handler, make_app
from .connections import ConnectionServer
from .handlers import Desk
from .keys import Keys
from .limits import Limits
from .places import Place, keys_of, place_of
from .settings import Settings
from .users import DEV_CLIENT, DEV_PARTNER, UserBook

BACKLOG: Final = 1024

_log = logging.getLogger(__name__)


def listening(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on every address of a host: one port, also where 0 asks for any free one.

    Raises:
        ConfigurationError: The port is taken, or there is no such address.
    """
    with ExitStack() as stack:
        try:
            sockets: list[socket.socket] = []
            for family, address in _addresses(host, port):
                place = (address[0], sockets[0].getsockname()[1] if sockets else port, *address[2:])
                sockets.append(stack.enter_context(socket.create_server(place, family=family, backlog=BACKLOG)))
        except OSError as error:
            reason = (error.strerror or "no such address").partition(" (while")[0]
            remedy = "; choose another, or 0 for any free one" if error.errno == errno.EADDRINUSE else ""
            msg = f"can't listen on {host} port {port}: {reason}{remedy}"
        else:
            stack.pop_all()
            return sockets
    raise ConfigurationError(msg)


def _addresses(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


class Server:
    """The identity server in this process and event loop. `async with` starts and stops it.

    Args:
        database: The SQLite file, whose keys lie beside it, in a file of mode 0600, unless the environment names them.
            Or the address of a PostgreSQL database, `postgresql://…`, whose keys the environment names.
        settings: How it is set up.
        environ: Where keys are looked for first; the environment of the process by default.
        around: Wraps the handler of all requests: for tests that make it fail.
        sockets: Listening already, in place of the settings' host and port; closed when it stops.
    """

    def __init__(
        self,
        database: str | os.PathLike[str] | Place,
        settings: Settings | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        around: Callable[[Handler], Handler] = lambda handler: handler,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        self.settings: Settings = settings or Settings()
        self.place: Place = place_of(database)
        self._environ = os.environ if environ is None else environ
        self._around = around
        self._stack: AsyncExitStack | None = None
        self._sockets = sockets
        self._port: int = sockets[0].getsockname()[1] if sockets else self.settings.port

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self.settings.host

    @property
    def port(self) -> int:
        """The port it listens on; where 0 was asked for, the one it got, which it keeps when it is started again."""
        return self._port

    @property
    def url(self) -> str:
        """The server's address, for `MimiCore(server=…)`."""
        scheme = "http" if self.settings.tls is None else "https"
        return f"{scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the database and listen.

        Raises:
            ConfigurationError: The settings, the keys or the clients of the database forbid it, or the port is taken.
            StoreError: The database can't be opened.
        """
        self.settings.check_address()
        async with AsyncExitStack() as stack:
            book = self.place.book(self.settings)
            await book.open()
            stack.push_async_callback(book.close)
            keys = await keys_of(book, self.place, self._environ)
            await self._check_clients(book, keys)
            desk = self._desk(book, keys)
            await self._listen(self._around(make_app(desk)), stack)
            self.desk = desk
            self._stack = stack.pop_all()

    async def stop(self) -> None:
        """Stop listening, let requests that are under way end, and close the database. Stopping twice is fine."""
        if self._stack is not None:
            stack, self._stack = self._stack, None
            await stack.aclose()

    async def _check_clients(self, book: UserBook, keys: Keys) -> None:
        client_ids = await book.clients()
        self.settings.check_clients(client_ids)
        if client_ids:
            return
        digest = keys.client_digest(DEV_CLIENT.secret)
        if await book.add_first_client(DEV_PARTNER, DEV_CLIENT.client_id, digest):
            _log.warning("the database has no client: %r was added, for this machine only", DEV_CLIENT.client_id)

    def _desk(self, book: UserBook, keys: Keys) -> Desk:
        limits = Limits(self.settings.creation_limit, exempt=DEV_CLIENT.client_id)
        return Desk(book=book, keys=keys, limits=limits, settings=self.settings)

    async def _listen(self, handler: Handler, stack: AsyncExitStack) -> None:
        connections = ConnectionServer(handler, self.settings)
        sockets = self._sockets or await asyncio.to_thread(listening, self.host, self._port)
        self._port = sockets[0].getsockname()[1]
        listeners = [await self._listener(connections, listener) for listener in sockets]
        stack.push_async_callback(connections.shutdown, self.settings.stop_seconds)
        stack.callback(connections.pre_shutdown)
        stack.push_async_callback(_stop_listening, listeners)

    async def _listener(self, connections: ConnectionServer, listener: socket.socket) -> asyncio.Server:
        tls = self.settings.tls
        return await asyncio.get_running_loop().create_server(
            connections,
            sock=listener,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else self.settings.header_seconds,
            backlog=BACKLOG,
        )


async def _stop_listening(listeners: Sequence[asyncio.Server]) -> None:
    """Accept no more connections, and let those that were accepted begin.

    In Python 3.11 a listener that is closed amid an acceptance leaves that connection open, and nobody ever reads it.
    """
    for listener in listeners:
        for accepting in listener.sockets:
            asyncio.get_running_loop().remove_reader(accepting.fileno())
    for _ in range(3):  # accepted, made, and waiting for a request
        await asyncio.sleep(0)
    for listener in listeners:
        listener.close()
