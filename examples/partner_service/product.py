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
    """One product: its client credentials, a store of its own, and the partner's table of accounts.

    Attributes:
        name: "player", "tv", …
        server: The address of the identity server.
        credentials: Of this product.
        accounts: The partner's, shared by all products.
        store: The file in which the SDK keeps its records; each product has its own.
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
            ConfigurationError: There is no client id, or no secret.
        """
        try:
            credentials = ClientCredentials.from_env()
        except ConfigurationError as error:
            msg = f"{error}; README gives them under 'Try it'"
            raise ConfigurationError(msg) from None
        data = Path(os.environ.get("PARTNER_DATA", "."))
        return cls(
            name,
            server=os.environ.get("MIMI_SERVER", "http://127.0.0.1:8765"),
            credentials=credentials,
            accounts=Accounts(data / "accounts.sqlite3"),
            store=store_of(data, name),
        )

    def core(self, account: str | None = None, *, asks_partner: bool = True, keeps_trying: bool = False) -> MimiCore:
        """Return a core that keeps the partner's table up to date; enter it with `async with`.

        Args:
            account: Who is signed in on this device; None in a service, which uses `core.auth_for(account)` and
                `core.present(view, account=…)` for each of its many accounts.
            asks_partner: Whether the SDK asks the partner's table by itself when its store holds no id.
            keeps_trying: Whether to start without the server, and let views wait until it is back.
        """
        core = MimiCore(
            self.credentials,
            server=self.server,
            store=SQLiteStore(self.store),
            account=account,
            known_id=self.accounts.known_id if asks_partner else None,
            on_restore_failure="keep_trying" if keeps_trying else "raise",
        )
        core.observe(self.remember)
        return core

    async def remember(
        self, auth: AuthController, /, *, current: MimiUser | None, error: MimiError | None, **_: object
    ) -> None:
        """Be the observer of the guide (step 3): keep the id with the account, and drop it once it is erased.

        It is told at each restore, so that a write that failed is made up for at the next launch. A log-out, or an
        error of any other kind, drops nothing: the profile lives on, and the id is the only way back to it.
        """
        if current is not None:
            await self.accounts.keep(auth.account, current.anonymous_id)
        elif isinstance(error, ErasedAnonymousIdError) and error.anonymous_id is not None:
            await self.accounts.drop(auth.account, error.anonymous_id)


def store_of(data: Path, name: str) -> Path:
    """Return the file in which the SDK keeps the records of a product."""
    return data / name / "mimi.sqlite3"


def profile(*, allows_anonymous_user_only: bool = True) -> Profile:
    """Return the profile of the guide (step 4); it is refused where a person could log in by name."""
    return Profile(ProfileConfiguration(allows_anonymous_user_only=allows_anonymous_user_only))
