"""The border: what aiohttp, ssl and the operating system raise becomes ours here, and only here."""

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

BEFORE_SENDING = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ServerFingerprintMismatch)
"""What aiohttp raises while it connects: no byte of the request has left."""

_TLS = (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch, ssl.SSLCertVerificationError)


def translated(error: Exception, server: str, request_id: str) -> MimiError:
    """Return our error for one that was raised while asking the server.

    Its text is not quoted: a repr of aiohttp's holds the Authorization header. Raise what is returned outside the
    except block, so that the original is neither its cause nor its context.

    Args:
        error: What was raised.
        server: Host and port, for the message.
        request_id: The id of the call.
    """
    if isinstance(error, _TLS):
        why = getattr(_reason(error), "verify_message", "") or "no TLS as we know it"
        msg = (
            f"the server {server} can't be trusted: {why}; nothing was sent: check the address, "
            "the clock and the CA certificates of this machine"
        )
        return InsecureServerError(msg, request_id=request_id)
    if isinstance(error, TimeoutError):
        phase = "could not be connected" if isinstance(error, BEFORE_SENDING) else "did not answer"
        msg = f"the server {server} {phase} in time: try again later"
        return ServerTimeoutError(msg, request_id=request_id)
    if isinstance(error, aiohttp.ClientConnectorError):
        why = type(_reason(error)).__name__
        msg = f"the server {server} can't be reached ({why}): check its address, the network, and that it runs"
        return ServerUnreachableError(msg, request_id=request_id)
    if isinstance(error, (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError)):
        msg = f"the server {server} ended the connection before its answer was complete: try again later"
        return ServerUnreachableError(msg, request_id=request_id)
    if isinstance(error, aiohttp.ClientError):
        msg = f"the answer of {server} is no HTTP: check address and port, a proxy or another service may be there"
        return ProtocolError(msg, request_id=request_id)
    msg = f"the request to {server} can't be sent: its host name or a header holds what no network can carry"
    return ConfigurationError(msg, request_id=request_id)


def _reason(error: Exception) -> object:
    """What lies under an error of aiohttp's connector."""
    return getattr(error, "os_error", None) or getattr(error, "certificate_error", error)
