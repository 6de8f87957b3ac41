"""The settings of a server, and their checks before the start."""

import ssl
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from ..errors import ConfigurationError
from ..wire.contract import is_loopback
from .users.repository import DEV_CLIENT

DEFAULT_PORT: Final = 8765


@attrs.frozen(kw_only=True)
class Settings:
    """The settings of a server.

    Attributes:
        host: The address to listen on.
        port: The port, 0 for any free one.
        tls: The TLS context for https; None serves http.
        behind_proxy: Whether a reverse proxy of the operator terminates TLS.
        creation_limit: New users per minute and client; None for no limit. Replays are not counted.
        max_connections: The limit of open connections. A connection above it gets a 503.
        header_seconds: The time limit for the header of a request.
        body_seconds: The time limit for the body of a request.
        keep_alive_seconds: The time limit of an idle connection.
        database_seconds: The time limit of the database, after which a request gets a 503.
        database_connections: The maximum number of connections to PostgreSQL.
        stop_seconds: The time limit of running requests when the server stops.
        token_seconds: The lifetime of an access token.
        is_unserviceable: Returns for a User-Agent whether that SDK version is no longer supported; None supports all.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    tls: ssl.SSLContext | None = None
    behind_proxy: bool = False
    creation_limit: int | None = 600
    max_connections: int = 800
    header_seconds: float = 10.0
    body_seconds: float = 10.0
    keep_alive_seconds: float = 75.0
    database_seconds: float = 10.0
    database_connections: int = 10
    stop_seconds: float = 5.0
    token_seconds: float = 900.0
    is_unserviceable: Callable[[str], bool] | None = None

    def check_address(self) -> None:
        """Refuse to serve http to other machines.

        Raises:
            ConfigurationError: The host is not loopback, and neither TLS nor a proxy is set.
        """
        if not is_loopback(self.host) and self.tls is None and not self.behind_proxy:
            msg = (
                f"{self.host} can be reached from other machines, and without TLS the ids could be read in transit: "
                "give --tls-cert and --tls-key, or --behind-proxy if a proxy in front of it serves https"
            )
            raise ConfigurationError(msg)

    def check_clients(self, client_ids: Sequence[str]) -> None:
        """Refuse to serve other machines with the public secret of `DEV_CLIENT`.

        Raises:
            ConfigurationError: Other machines can reach the server, and its database has no client, or `DEV_CLIENT`.
        """
        is_public = self.behind_proxy or not is_loopback(self.host)
        if is_public and (not client_ids or DEV_CLIENT.client_id in client_ids):
            msg = (
                f"the only client of this database is {DEV_CLIENT.client_id!r}, whose secret is public: it may serve "
                "this machine only. Add your own client first: mimi-async clients add PARTNER CLIENT --database …"
            )
            raise ConfigurationError(msg)
