"""The processes of the demo: the identity server and two products of one partner, as launches or as web services."""

import asyncio
import os
import secrets
import shutil
import sqlite3
from contextlib import AsyncExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self
from urllib.parse import quote

from mimi_async import AnonymousId, ClientCredentials
from mimi_async.stores import SQLiteStore, StoredIdentity

from ..partner_service.accounts import Accounts
from ..partner_service.product import store_of
from .client_file import ClientFile
from .processes import Launch, Process

PARTNER = "acme"
PRODUCTS = ("player", "tv")
LAUNCH = "examples.demo.launch"
SITE = "examples.partner_service"


class Stage:
    """The processes and files of the demo; `async with` starts them and stops them.

    Args:
        launch_module: The module that runs a launch.
        folder: The folder of all data, with the client secrets; by default a temporary one.
        port: The port of the identity server; by default any free one.
        log_level: The log level of the identity server.

    Attributes:
        credentials: The client credentials of each product.
        url: The address of the identity server.
    """

    def __init__(
        self,
        launch_module: str = LAUNCH,
        *,
        folder: Path | None = None,
        port: int = 0,
        log_level: str = "info",
    ) -> None:
        self.credentials: dict[str, ClientCredentials] = {}
        self.url = ""
        self._launch_module = launch_module
        self._kept = folder
        self._folder = Path("nowhere")
        self._port = port
        self._log_level = log_level
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("MIMI_")}
        self._server: Process | None = None
        self._processes: list[Process] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._folder = self._kept or Path(stack.enter_context(TemporaryDirectory(prefix="partner-service-")))
            stack.push_async_callback(self._stop_all)
            await self.start_server()
            self.credentials = await self._clients()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def _stop_all(self) -> None:
        await asyncio.gather(*(process.stop() for process in self._processes), return_exceptions=True)

    @property
    def server(self) -> Process:
        """The identity server.

        Raises:
            RuntimeError: It has not been started.
        """
        if self._server is None:
            msg = "enter the stage first"
            raise RuntimeError(msg)
        return self._server

    @property
    def _database(self) -> Path:
        return self._folder / "server" / "users.sqlite3"

    async def start_server(self) -> None:
        """Start `mimi-async serve`, after a stop at the same address as before."""
        url = f"sqlite:///{quote(str(self._database))}?create=folder"
        options = ("--port", str(self._port), "--database", url, "--log-level", self._log_level)
        self._server = await self._run("mimi_async", "serve", *options)
        self.url = await self._server.read_address()
        self._port = int(self.url.rpartition(":")[2])

    async def stop_server(self) -> bool:
        """Stop the server; return whether its exit status is 0."""
        return self._server is not None and await self._server.stop() == 0

    async def _clients(self) -> dict[str, ClientCredentials]:
        """Return a client of each product: new ones, or those of the folder that is kept."""
        kept = ClientFile(self._folder / "clients.json")
        clients = kept.read() if self._kept else {}
        if not clients:
            mark = f"-{secrets.token_hex(4)}" if self._kept else ""  # an interrupted start may have added some
            added = await asyncio.gather(*(self._new_client(f"{product}{mark}") for product in PRODUCTS))
            clients = dict(zip(PRODUCTS, added, strict=True))
        if self._kept:
            kept.write(clients)
        return clients

    async def _new_client(self, name: str) -> ClientCredentials:
        url = f"sqlite:///{quote(str(self._database))}?create=folder"
        process = await self._run("mimi_async", "clients", "add", PARTNER, name, "--database", url)
        if await process.wait() != 0:
            msg = f"the client {name!r} was not added"
            raise RuntimeError(msg)
        values = dict(line.split("=", 1) for line in process.lines if line.startswith("MIMI_CLIENT_"))
        process.lines.clear()  # the command prints the secret once, by design: not a leak
        return ClientCredentials(values["MIMI_CLIENT_ID"], values["MIMI_CLIENT_SECRET"])

    async def _run(self, module: str, *arguments: str, **environ: str) -> Process:
        process = await Process.start("-m", module, *arguments, environ=self._environ | environ)
        self._processes.append(process)
        return process

    def users(self) -> int:
        """Return the number of users of the server, without erased ones."""
        with closing(sqlite3.connect(self._database)) as database:
            return int(database.execute("SELECT count(user_id) FROM users").fetchone()[0])

    @property
    def accounts(self) -> Accounts:
        """The partner's table of accounts."""
        return Accounts(self._folder / "accounts.sqlite3")

    async def ready(self, command: str) -> Launch:
        """Start the process of a launch, such as "player anna onboard"; its work starts with `go()` or `run()`."""
        product, *rest = command.split()
        environ = self._environ | self._environ_of(product)
        launch = await Launch.start("-m", self._launch_module, product, *rest, "--on-go", environ=environ)
        launch.command = command
        self._processes.append(launch)
        return launch

    async def site(self, product: str, *arguments: str) -> Process:
        """Run a product as a web service; `address()` waits until it answers."""
        return await self._run(SITE, product, *arguments, **self._environ_of(product))

    def _environ_of(self, product: str) -> dict[str, str]:
        """Return the environment variables that `Product.from_env` reads."""
        credentials = self.credentials[product]
        return {
            "MIMI_SERVER": self.url,
            "MIMI_CLIENT_ID": credentials.client_id,
            "MIMI_CLIENT_SECRET": credentials.secret.reveal(),
            "PARTNER_DATA": str(self._folder),
        }

    async def record(self, product: str, account: str) -> StoredIdentity | None:
        """Return the record of an account in the store of a product."""
        async with SQLiteStore(store_of(self._folder, product)) as store:
            return await store.load(account)

    def reinstall(self, product: str) -> None:
        """Delete the files of a product, as a reinstall does."""
        shutil.rmtree(store_of(self._folder, product).parent)

    def has_printed_secret(self, *anonymous_ids: AnonymousId | None) -> bool:
        """Return whether a process has printed one of these ids or a client secret."""
        output = "\n".join(line for process in self._processes for line in process.lines)
        secrets = [credentials.secret.reveal() for credentials in self.credentials.values()]
        return any(text in output for text in (*secrets, *(each.reveal() for each in anonymous_ids if each)))
