"""How a server is set up, and what is refused before it starts."""

import ipaddress
import ssl
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from ..errors import ConfigurationError
from .users import DEV_CLIENT

DEFAULT_PORT: Final = 8765


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@attrs.frozen(kw_only=True)
class Settings:
    """How a server is set up.

    Attributes:
        host: The address to listen on.
        port: The port, 0 for any free one.
        tls: What to serve https with; None serves http.
        behind_proxy: Whether a proxy of the operator stands before it and speaks https to the world.
        creation_limit: New users a minute from one client; None for no limit. Replays don't count.
        most_connections: Connections beyond which a new one is answered by 503.
        header_seconds: How long a client may take to send the header of a request that it began.
        body_seconds: The same for the body.
        keep_alive_seconds: How long a connection may be idle.
        database_seconds: How long to wait for the database before answering by 503.
        database_connections: To PostgreSQL, at most.
        stop_seconds: How long requests that are under way may take to end when the server stops.
        token_seconds: How long an access token lives.
        unserviceable: Told the User-Agent of a request, whether that version of the SDK is no longer supported; None
            supports all of them.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    tls: ssl.SSLContext | None = None
    behind_proxy: bool = False
    creation_limit: int | None = 600
    most_connections: int = 800
    header_seconds: float = 10.0
    body_seconds: float = 10.0
    keep_alive_seconds: float = 75.0
    database_seconds: float = 10.0
    database_connections: int = 10
    stop_seconds: float = 5.0
    token_seconds: float = 900.0
    unserviceable: Callable[[str], bool] | None = None

    @property
    def is_public(self) -> bool:
        """Whether others than this machine can reach the server."""
        return self.behind_proxy or not _is_loopback(self.host)

    def check_address(self) -> None:
        """Refuse to serve http to the world.

        Raises:
            ConfigurationError: The host is beyond loopback, without TLS and without a proxy.
        """
        if not _is_loopback(self.host) and self.tls is None and not self.behind_proxy:
            msg = (
                f"{self.host} can be reached from other machines, and without TLS the ids could be read on the way: "
                "give --tls-cert and --tls-key, or --behind-proxy if a proxy in front of it speaks https"
            )
            raise ConfigurationError(msg)

    def check_clients(self, client_ids: Sequence[str]) -> None:
        """Refuse to let the world in by a secret that everybody knows.

        Raises:
            ConfigurationError: The server is public, and its database has no client, or has `DEV_CLIENT`.
        """
        if self.is_public and (not client_ids or DEV_CLIENT.client_id in client_ids):
            msg = (
                f"this database has no client but {DEV_CLIENT.client_id!r}, whose secret everybody knows: it may serve "
                "this machine only. Add one of your own first: mimi-async clients add PARTNER CLIENT --database …"
            )
            raise ConfigurationError(msg)
