"""The stage of the walk-through: a temporary folder, the identity server, and two products of one partner."""

import asyncio
import os
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
from .processes import Launch, Process
from .product import store_of

PARTNER = "acme"
PRODUCTS = ("player", "tv")
LAUNCH = "examples.partner_service.launch"


class Stage:
    """Everything that the steps need; `async with` sets it up and takes it down.

    Args:
        launch_module: The module that is run as a launch.

    Attributes:
        credentials: Those of each product.
        url: The address of the identity server.
    """

    def __init__(self, launch_module: str = LAUNCH) -> None:
        self.credentials: dict[str, ClientCredentials] = {}
        self.url = ""
        self._launch_module = launch_module
        self._folder = Path("nowhere")
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("MIMI_")}
        self._server: Process | None = None
        self._processes: list[Process] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._folder = Path(stack.enter_context(TemporaryDirectory(prefix="partner-service-")))
            stack.push_async_callback(self._stop_all)
            await self.start_server()
            added = await asyncio.gather(*map(self._new_client, PRODUCTS))
            self.credentials = dict(zip(PRODUCTS, added, strict=True))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def _stop_all(self) -> None:
        await asyncio.gather(*(process.stop() for process in self._processes), return_exceptions=True)

    # The identity server ---------------------------------------------------------------------------------------------

    @property
    def _database(self) -> Path:
        return self._folder / "server" / "users.sqlite3"

    async def start_server(self) -> None:
        """Run `mimi-async serve`, after a stop at the same address."""
        port = self.url.rpartition(":")[2] or "0"
        self._server = await self._run("serve", "--port", port, "--database", f"sqlite:///{quote(str(self._database))}")
        while (line := await self._server.line()) is not None:
            if line.startswith("serving "):
                self.url = line.split()[1]
                return
        msg = f"the identity server did not start: {self._server.lines}"
        raise RuntimeError(msg)

    async def stop_server(self) -> bool:
        """Stop the server; tell whether it ended well."""
        return self._server is not None and await self._server.stop() == 0

    async def _new_client(self, product: str) -> ClientCredentials:
        url = f"sqlite:///{quote(str(self._database))}"
        process = await self._run("clients", "add", PARTNER, product, "--database", url)
        if await process.ended() != 0:
            msg = f"the client {product!r} was not added"
            raise RuntimeError(msg)
        told = dict(line.split("=", 1) for line in process.lines if line.startswith("MIMI_CLIENT_"))
        process.lines.clear()  # the one place where a secret is printed, once, as it must be
        return ClientCredentials(told["MIMI_CLIENT_ID"], told["MIMI_CLIENT_SECRET"])

    async def _run(self, *arguments: str) -> Process:
        process = await Process.start("-m", "mimi_async", *arguments, environ=self._environ)
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
        credentials = self.credentials[product]
        environ = {
            **self._environ,
            "MIMI_SERVER": self.url,
            "MIMI_CLIENT_ID": credentials.client_id,
            "MIMI_CLIENT_SECRET": credentials.secret.reveal(),
            "PARTNER_DATA": str(self._folder),
        }
        launch = await Launch.start("-m", self._launch_module, product, *rest, "--on-go", environ=environ)
        launch.command = command
        self._processes.append(launch)
        return launch

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
        secrets = [credentials.secret.reveal() for credentials in self.credentials.values()]
        return any(text in said for text in (*secrets, *(one.reveal() for one in anonymous_ids if one)))
