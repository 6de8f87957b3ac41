"""Translation of the exceptions of aiohttp, ssl and the operating system, which happens only here."""

import ssl

import aiohttp

from ..errors import (
    ConfigurationError,
    InsecureServerError,
    MimiError,
    ProtocolError,
    ServerTimeoutError,
    ServerUnreachableError,
)
from .route import Proxy, Route

BEFORE_SENDING = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientHttpProxyError,
)
"""Exceptions of aiohttp while it connects: no byte of the request has left."""

_TLS = (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch, ssl.SSLCertVerificationError)
_OF_PROXY = (aiohttp.ClientProxyConnectionError, aiohttp.ClientConnectorDNSError)
"""Failures of the first connection, which with a proxy is the one to the proxy."""


def translate_error(error: Exception, route: Route, request_id: str) -> MimiError:
    """Return the error of this library for an exception of a request.

    The text of the exception is not quoted: a repr of aiohttp's holds the Authorization header. Raise the returned
    error outside the except block, so that the exception is neither its cause nor its context.
    """
    kind, msg = _describe(error, route)
    return kind(msg, request_id=request_id)


def _describe(error: Exception, route: Route) -> tuple[type[MimiError], str]:
    proxy, server = route.proxy, route.name
    if isinstance(error, aiohttp.ClientHttpProxyError) and proxy is not None:
        return _describe_refusal(error.status, proxy, route.server)
    if isinstance(error, _TLS):
        return InsecureServerError, _describe_tls(error, route)
    if isinstance(error, TimeoutError):
        phase = "could not be connected" if isinstance(error, BEFORE_SENDING) else "did not answer"
        return ServerTimeoutError, f"the server {server} {phase} in time: try again later"
    if isinstance(error, aiohttp.ClientConnectorError):
        peer = f"server {server}" if proxy is None or not isinstance(error, _OF_PROXY) else f"proxy {proxy.name}"
        why = type(_reason(error)).__name__
        return ServerUnreachableError, (
            f"the {peer} can't be reached ({why}): check its address, the network, and that it runs"
        )
    if isinstance(error, (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError)):
        return ServerUnreachableError, (
            f"the server {server} ended the connection before its answer was complete: try again later"
        )
    if isinstance(error, aiohttp.ClientError):
        return ProtocolError, (
            f"the answer of {server} is not HTTP: check address and port, a proxy or another service may be there"
        )
    return ConfigurationError, (
        f"the request to {server} can't be sent: its host name or a header holds invalid characters"
    )


def _describe_refusal(status: int, proxy: Proxy, server: str) -> tuple[type[MimiError], str]:
    """Describe the reply of a proxy that did not open a tunnel."""
    if status == 407:
        how = "did not accept the credentials" if proxy.authorization else "requires credentials"
        return ProtocolError, (
            f"the proxy {proxy.name} {how} (407); nothing was sent: give MimiCore(proxy='http://user:password@…')"
        )
    if status >= 500 or status in (408, 425, 429):
        return ServerUnreachableError, (
            f"the proxy {proxy.name} could not connect to the server {server} ({status}): try again later"
        )
    return ProtocolError, (
        f"the proxy {proxy.name} refused to connect to the server {server} ({status}); nothing was sent: allow"
        " CONNECT to this host and port there, and check both addresses"
    )


def _describe_tls(error: Exception, route: Route) -> str:
    why = getattr(_reason(error), "verify_message", "") or "it does not speak TLS as expected"
    address = (getattr(error, "host", None), getattr(error, "port", None))
    if route.proxy is not None and address == (route.proxy.url.raw_host, route.proxy.url.port):
        return (
            f"the proxy {route.proxy.name} can't be trusted: {why}; nothing was sent: check whether its address begins"
            " with http://, and give your own CA by the connector of a session: TCPConnector(ssl=context)"
        )
    return (
        f"the server {route.name} can't be trusted: {why}; nothing was sent: check the address, "
        "the clock and the CA certificates of this machine"
    )


def _reason(error: Exception) -> object:
    """Return the exception below an error of aiohttp's connector."""
    return getattr(error, "os_error", None) or getattr(error, "certificate_error", error)
