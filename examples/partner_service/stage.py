"""The stage: a folder, the identity server, and two products of one partner, as launches or as web services."""

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

from .accounts import Accounts
from .client_file import ClientFile
from .processes import Launch, Process
from .product import store_of

PARTNER = "acme"
PRODUCTS = ("player", "tv")
LAUNCH = "examples.partner_service.launch"
SITE = "examples.partner_service.site"


class Stage:
    """Everything that the steps need; `async with` sets it up and takes it down.

    Args:
        launch_module: The module that is run as a launch.
        folder: Where the data are kept, the client secrets among them; a temporary one by default.
        port: Of the identity server; any free one by default.
        log_level: What the identity server tells of itself.

    Attributes:
        credentials: Those of each product.
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

    # The identity server ---------------------------------------------------------------------------------------------

    @property
    def server(self) -> Process:
        """The identity server.

        Raises:
            RuntimeError: It was never started.
        """
        if self._server is None:
            msg = "enter the stage first"
            raise RuntimeError(msg)
        return self._server

    @property
    def _database(self) -> Path:
        return self._folder / "server" / "users.sqlite3"

    async def start_server(self) -> None:
        """Run `mimi-async serve`, after a stop at the same address."""
        url = f"sqlite:///{quote(str(self._database))}"
        options = ("--port", str(self._port), "--database", url, "--log-level", self._log_level)
        self._server = await self._run("mimi_async", "serve", *options)
        self.url = await self._server.address()
        self._port = int(self.url.rpartition(":")[2])

    async def stop_server(self) -> bool:
        """Stop the server; tell whether it ended well."""
        return self._server is not None and await self._server.stop() == 0

    async def _clients(self) -> dict[str, ClientCredentials]:
        """Add a client for each product; in a folder that is kept, find those again that were added."""
        kept = ClientFile(self._folder / "clients.json")
        clients = kept.read() if self._kept else {}
        if not clients:
            mark = f"-{secrets.token_hex(4)}" if self._kept else ""  # clients of a start that was cut off may be there
            added = await asyncio.gather(*(self._new_client(f"{product}{mark}") for product in PRODUCTS))
            clients = dict(zip(PRODUCTS, added, strict=True))
        if self._kept:
            kept.write(clients)
        return clients

    async def _new_client(self, name: str) -> ClientCredentials:
        url = f"sqlite:///{quote(str(self._database))}"
        process = await self._run("mimi_async", "clients", "add", PARTNER, name, "--database", url)
        if await process.ended() != 0:
            msg = f"the client {name!r} was not added"
            raise RuntimeError(msg)
        told = dict(line.split("=", 1) for line in process.lines if line.startswith("MIMI_CLIENT_"))
        process.lines.clear()  # the one place where a secret is printed, once, as it must be
        return ClientCredentials(told["MIMI_CLIENT_ID"], told["MIMI_CLIENT_SECRET"])

    async def _run(self, module: str, *arguments: str, **environ: str) -> Process:
        process = await Process.start("-m", module, *arguments, environ=self._environ | environ)
        self._processes.append(process)
        return process

    def users(self) -> int:
        """Return how many users the server holds; those that were erased are none."""
        with closing(sqlite3.connect(self._database)) as database:
            return int(database.execute("SELECT count(user_id) FROM users").fetchone()[0])

    # The products of the partner -------------------------------------------------------------------------------------

    @property
    def accounts(self) -> Accounts:
        """The partner's own table."""
        return Accounts(self._folder / "accounts.sqlite3")

    async def ready(self, command: str) -> Launch:
        """Make a launch ready, such as "player anna onboard": it begins when it is told to."""
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
        """What `Product.from_env` reads."""
        credentials = self.credentials[product]
        return {
            "MIMI_SERVER": self.url,
            "MIMI_CLIENT_ID": credentials.client_id,
            "MIMI_CLIENT_SECRET": credentials.secret.reveal(),
            "PARTNER_DATA": str(self._folder),
        }

    async def record(self, product: str, account: str) -> StoredIdentity | None:
        """Return what the SDK's store of a product holds."""
        async with SQLiteStore(store_of(self._folder, product)) as store:
            return await store.load(account)

    def reinstall(self, product: str) -> None:
        """Take a product's own files away, as a reinstall does."""
        shutil.rmtree(store_of(self._folder, product).parent)

    def told_secrets(self, *anonymous_ids: AnonymousId | None) -> bool:
        """Tell whether any process has printed one of these ids, or a client secret."""
        said = "\n".join(line for process in self._processes for line in process.lines)
        ours = [credentials.secret.reveal() for credentials in self.credentials.values()]
        return any(text in said for text in (*ours, *(one.reveal() for one in anonymous_ids if one)))
