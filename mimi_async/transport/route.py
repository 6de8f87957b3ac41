"""The way to the identity server: its URL, and the HTTP proxy that carries all requests."""

import base64
import functools
import os
import urllib.request
from typing import Final

import attrs
import yarl
from multidict import istr

from ..builtin_types import as_str
from ..errors import ConfigurationError
from ..secret import Secret
from ..wire.contract import is_loopback

_AUTHORIZATION: Final = istr("Proxy-Authorization")
_VARIABLES: Final = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")

_PROXY_USAGE: Final = (
    "proxy is the address of an HTTP proxy, such as 'http://proxy.example:3128' or 'https://user:password@proxy.example',"
    " where special characters of user and password are percent-encoded"
)
_SOCKS: Final = "proxy is an HTTP proxy; for SOCKS give session= a connector such as aiohttp_socks.ProxyConnector"


@attrs.frozen(eq=False)
class Proxy:
    """An HTTP proxy.

    Attributes:
        url: Scheme, host and port, without credentials: reprs and logs of aiohttp show it.
        name: Host and port, for messages.
        authorization: The value of Proxy-Authorization (RFC 9110, 11.7.2), or None.
    """

    url: yarl.URL
    name: str
    authorization: Secret | None = attrs.field(repr=False)


@attrs.frozen(eq=False)
class Route:
    """The validated URL of a server, and the proxy on the way.

    Attributes:
        base: Scheme, host, port and path of the server, without a slash at the end.
        host: The host of the server alone.
        server: Host and port of the server, for messages.
        proxy: The proxy, or None.
    """

    base: str
    host: str
    server: str
    proxy: Proxy | None

    @property
    def name(self) -> str:
        """The server and the proxy, for messages."""
        return self.server if self.proxy is None else f"{self.server} (through the proxy {self.proxy.name})"

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS protects the requests, so that a proxy is asked for a tunnel."""
        return self.base.startswith("https:")

    @property
    def proxy_headers(self) -> dict[istr, str]:
        """The header that carries the credentials of the proxy, if there are any."""
        authorization = None if self.proxy is None else self.proxy.authorization
        return {} if authorization is None else {_AUTHORIZATION: authorization.reveal()}

    @property
    def ignored_variable(self) -> str | None:
        """The name of the environment variable that asks for a proxy to this server, and is not used; or None."""
        variable = next((name for name in _VARIABLES if os.environ.get(name)), None)
        if variable is None or self.proxy is not None or not self.is_encrypted:
            return None
        return None if urllib.request.proxy_bypass(self.host) else variable


@functools.lru_cache(maxsize=64)
def join_url(base: str, path: str) -> yarl.URL:
    """Return the URL of a path of the contract, which is encoded already. To build one costs more than a lookup."""
    return yarl.URL(base + path, encoded=True)


def parse_route(server: object, proxy: Proxy | None) -> Route:
    """Parse the URL of a server: `https`, or `http` on this machine only, also where the proxy is.

    Raises:
        ConfigurationError: It is another value. It is not quoted: it may hold a password.
    """
    text = as_str(server) or ""
    url = _parse(text)
    if url is None or url.scheme not in ("https", "http") or not url.host:
        msg = (
            "a server is named by its address, which begins with https://, or on this machine with http://, such as"
            " 'https://identity.example' or 'http://127.0.0.1:8765'"
        )
        raise ConfigurationError(msg)
    if url.raw_user is not None or url.raw_password is not None:
        msg = "the server's address must not hold a user or a password: give ClientCredentials instead"
        raise ConfigurationError(msg)
    if "?" in text or "#" in text:
        msg = f"the server's address must end with its path, without a query or a fragment: '{url.origin()}'"
        raise ConfigurationError(msg)
    if url.scheme == "http" and not is_loopback(url.host):
        msg = f"{url.host} is not this machine: its address must begin with https://, since ids are sent to it"
        raise ConfigurationError(msg)
    if url.scheme == "http" and proxy is not None and not is_loopback(proxy.url.host or ""):
        msg = (
            f"the server {_name_of(url)} is named by http://, and the proxy {proxy.name} is not this machine: ids would"
            " be sent there unencrypted; name the server by https://, or give no proxy"
        )
        raise ConfigurationError(msg)
    return Route(str(url).rstrip("/"), url.host, _name_of(url), proxy)


def read_proxy(text: object) -> Proxy | ConfigurationError | None:
    """Parse the address of a proxy; None for None. An error is returned, to be raised once the caller has deleted it.

    The address may hold a password, and a traceback may show the locals of the frames that it names.
    """
    if text is None:
        return None
    exact = as_str(text)
    is_plain = exact is not None and exact.isprintable() and {" ", "?", "#"}.isdisjoint(exact)
    url = _parse(exact) if exact and is_plain else None
    if url is not None and url.scheme.startswith("socks"):
        return ConfigurationError(_SOCKS)
    if url is None or url.scheme not in ("http", "https") or not url.host or url.raw_path not in ("", "/"):
        return ConfigurationError(_PROXY_USAGE)
    credentials = f"{url.user or ''}:{url.password or ''}"
    if ":" in (url.user or "") or not credentials.isprintable():
        return ConfigurationError("user and password of a proxy are printable texts, the user without a colon")
    return Proxy(url.origin(), _name_of(url), None if credentials == ":" else encode_basic(credentials))


def encode_basic(credentials: str) -> Secret:
    """Return "user:password" as a value of Authorization: HTTP Basic (RFC 7617), in UTF-8."""
    return Secret("Basic " + base64.b64encode(credentials.encode()).decode())


def _name_of(url: yarl.URL) -> str:
    return f"{url.host_subcomponent}:{url.port}"


def _parse(text: str) -> yarl.URL | None:
    try:
        return yarl.URL(text)
    except ValueError:
        return None
