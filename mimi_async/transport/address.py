"""Where the server is."""

import ipaddress

import attrs
import yarl

from ..errors import ConfigurationError


@attrs.frozen
class Address:
    """The address of a server, checked.

    Attributes:
        base: Scheme, host, port and path, without a slash at the end.
        name: Host and port, for messages.
    """

    base: str
    name: str

    def url(self, path: str) -> yarl.URL:
        """Return the URL of a path of the contract, which is encoded already."""
        return yarl.URL(self.base + path, encoded=True)


def checked(server: str) -> Address:
    """Read the address of a server: `https`, or `http` on this machine only.

    Raises:
        ConfigurationError: It is something else. It is not quoted: it may hold a password.
    """
    url = _parsed(server)
    if url is None or url.scheme not in ("https", "http") or not url.host:
        msg = (
            "a server is named by its address, which begins with https://, or on this machine with http://, such as"
            " 'https://identity.example' or 'http://127.0.0.1:8765'"
        )
        raise ConfigurationError(msg)
    if url.raw_user is not None or url.raw_password is not None:
        msg = "the server's address must not hold a user or a password: give ClientCredentials instead"
        raise ConfigurationError(msg)
    if "?" in server or "#" in server:
        msg = f"the server's address must end with its path, without a query or a fragment: '{url.origin()}'"
        raise ConfigurationError(msg)
    if url.scheme == "http" and not is_loopback(url.host):
        msg = f"{url.host} is not this machine: its address must begin with https://, since ids are sent to it"
        raise ConfigurationError(msg)
    return Address(str(url).rstrip("/"), f"{url.host_subcomponent}:{url.port}")


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine by its very name: 127.0.0.0/8, ::1 or localhost."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address in _LOOPBACK_4 or address in _LOOPBACK_6


_LOOPBACK_4 = ipaddress.ip_network("127.0.0.0/8")
_LOOPBACK_6 = ipaddress.ip_network("::1/128")


def _parsed(server: object) -> yarl.URL | None:
    if not isinstance(server, str):
        return None
    try:
        return yarl.URL(server)
    except ValueError:
        return None
