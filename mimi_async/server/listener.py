"""The server: a socket, a database, and the keys that belong to it."""

import asyncio
import hmac
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from ..errors import ConfigurationError
from .app import Handler, make_app
from .connections import ConnectionServer
from .handlers import Desk
from .keyfile import from_environment, from_file, make_file
from .keys import Keys
from .limits import Limits
from .settings import Settings
from .sqlite import SQLiteUserBook
from .users import DEV_CLIENT, DEV_PARTNER, UserBook

_log = logging.getLogger(__name__)


def key_file_of(database: Path) -> Path:
    """Return where the keys of an embedded database lie."""
    return database.with_name(f"{database.name}.keys")


async def keys_of(book: UserBook, database: Path, environ: Mapping[str, str]) -> Keys:
    """Return the keys of an open database; a new one gets keys, from the environment or made for it.

    Raises:
        ConfigurationError: The keys are lost, or they belong to another database.
    """
    kept = await book.check_values()
    path = key_file_of(database)
    keys = from_environment(environ)
    if keys is None:
        keys = await asyncio.to_thread(_file_keys, path, is_new=not kept)
    kept = await book.keep_check_values(keys.check_values())
    wrong = [name for name, value in keys.check_values().items() if not hmac.compare_digest(kept[name], value)]
    if wrong:
        msg = (
            f"the {' and the '.join(name.replace('_', ' ') for name in wrong)} are not those of {database}: under them "
            "every anonymousId would be unknown. Give the keys that this database was made with"
        )
        raise ConfigurationError(msg)
    return keys


def _file_keys(path: Path, *, is_new: bool) -> Keys:
    keys = from_file(path)
    if keys is None and is_new:
        make_file(path)
        keys = from_file(path)
    if keys is None:
        msg = f"the key file {path} of this database is missing: restore it, or every anonymousId is unknown for ever"
        raise ConfigurationError(msg)
    return keys


class Server:
    """The identity server in this process and event loop. `async with` starts and stops it.

    Args:
        database: The SQLite file. Its keys lie beside it, in a file of mode 0600, unless the environment names them.
        settings: How it is set up.
        environ: Where keys are looked for first; the environment of the process by default.
        around: Wraps the handler of all requests: for tests that make it fail.
    """

    def __init__(
        self,
        database: str | os.PathLike[str],
        settings: Settings | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        around: Callable[[Handler], Handler] = lambda handler: handler,
    ) -> None:
        self.settings: Settings = settings or Settings()
        self.database: Path = Path(database)
        self._environ = os.environ if environ is None else environ
        self._around = around
        self._stack: AsyncExitStack | None = None
        self._port = self.settings.port

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
            book = SQLiteUserBook(self.database, self.settings.database_seconds)
            await book.open()
            stack.push_async_callback(book.close)
            keys = await keys_of(book, self.database, self._environ)
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
        if not client_ids:
            await book.add_first_client(DEV_PARTNER, DEV_CLIENT.client_id, keys.client_digest(DEV_CLIENT.secret))
            _log.warning("the database has no client: %r was added, for this machine only", DEV_CLIENT.client_id)

    def _desk(self, book: UserBook, keys: Keys) -> Desk:
        limits = Limits(self.settings.creation_limit, exempt=DEV_CLIENT.client_id)
        return Desk(book=book, keys=keys, limits=limits, settings=self.settings)

    async def _listen(self, handler: Handler, stack: AsyncExitStack) -> None:
        connections = ConnectionServer(handler, self.settings)
        tls = self.settings.tls
        try:
            listener = await asyncio.get_running_loop().create_server(
                connections,
                self.host,
                self._port,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else self.settings.header_seconds,
                backlog=1024,
            )
        except OSError as error:
            msg = f"can't listen on {self.host} port {self._port}: {error.strerror or 'no such address'}"
        else:
            self._port = listener.sockets[0].getsockname()[1]
            stack.push_async_callback(connections.shutdown, self.settings.stop_seconds)
            stack.callback(connections.pre_shutdown)
            stack.push_async_callback(asyncio.sleep, 0)  # requests that came before begin to be handled
            stack.callback(listener.close)
            return
        raise ConfigurationError(msg)
