"""How a product of the partner uses the SDK: one core, one observer, and a profile for anonymous users only."""

import os
from dataclasses import dataclass
from pathlib import Path

from mimi_async import (
    AuthController,
    ClientCredentials,
    ConfigurationError,
    ErasedAnonymousIdError,
    MimiCore,
    MimiError,
    MimiUser,
    Profile,
    ProfileConfiguration,
)
from mimi_async.stores import SQLiteStore

from .accounts import Accounts


@dataclass(frozen=True)
class Product:
    """One product: its client credentials, its store, and the partner's table of accounts.

    Attributes:
        name: "player", "tv", …
        server: The address of the identity server.
        credentials: The client credentials of this product.
        accounts: The partner's table, shared by all products.
        store: The file of the SDK's records; each product has its own.
    """

    name: str
    server: str
    credentials: ClientCredentials
    accounts: Accounts
    store: Path

    @classmethod
    def from_env(cls, name: str) -> "Product":
        """Read MIMI_SERVER, MIMI_CLIENT_ID, MIMI_CLIENT_SECRET, and PARTNER_DATA, the folder of the partner's data.

        Raises:
            ConfigurationError: The client id or the secret is missing.
        """
        try:
            credentials = ClientCredentials.from_env()
        except ConfigurationError as error:
            msg = f"{error}; README gives them under 'Try it'"
            raise ConfigurationError(msg) from None
        data = Path(os.environ.get("PARTNER_DATA", ".")).absolute()
        return cls(
            name,
            server=os.environ.get("MIMI_SERVER", "http://127.0.0.1:8765"),
            credentials=credentials,
            accounts=Accounts(data / "accounts.sqlite3"),
            store=store_of(data, name),
        )

    def core(self, account: str | None = None, *, asks_partner: bool = True, retries_restore: bool = False) -> MimiCore:
        """Return a core whose observer updates the partner's table; enter it with `async with`.

        Args:
            account: The account signed in on this device; None in a service, which uses `core.auth_for(account)` and
                `core.present(view, account=…)` for each of its many accounts.
            asks_partner: Whether the SDK asks the partner's table when its store holds no id.
            retries_restore: Whether the core starts without the server; views then wait until the restore succeeds.
        """
        core = MimiCore(
            self.credentials,
            server=self.server,
            store=SQLiteStore(self.store, create_folder=True),
            account=account,
            known_id=self.accounts.known_id if asks_partner else None,
            on_restore_failure="retry" if retries_restore else "raise",
        )
        core.observe(self.remember)
        return core

    async def remember(
        self, auth: AuthController, /, *, current: MimiUser | None, error: MimiError | None, **_: object
    ) -> None:
        """Store the id with the account, and delete it once the user is erased: the observer of the guide (step 3).

        It gets an update at each restore, so that the next launch repeats a failed write. A log-out and any other error
        delete nothing: the profile still exists, and the id is the only way back to it.
        """
        if current is not None:
            await self.accounts.keep(auth.account, current.anonymous_id)
        elif isinstance(error, ErasedAnonymousIdError) and error.anonymous_id is not None:
            await self.accounts.drop(auth.account, error.anonymous_id)


def store_of(data: Path, name: str) -> Path:
    """Return the file of the SDK's records of a product."""
    return data / name / "mimi.sqlite3"


def profile(*, allows_anonymous_user_only: bool = True) -> Profile:
    """Return the profile of the guide (step 4); it is refused unless only anonymous users are allowed."""
    return Profile(ProfileConfiguration(allows_anonymous_user_only=allows_anonymous_user_only))
