"""The names of the HTTP contract, version 1, for client and server: paths, headers and problem types."""

import ipaddress
from typing import Final

ANONYMOUS_USERS: Final = "/v1/anonymous-users"
SESSIONS: Final = "/v1/sessions"
USER: Final = "/v1/user"
EXPORT: Final = "/v1/user/export"
HEARING_TESTS: Final = "/v1/user/hearing-tests"
HEARING_TEST: Final = "/v1/user/hearing-tests/{id}"
HEALTH: Final = "/healthz"
READINESS: Final = "/readyz"
OPENAPI: Final = "/openapi.json"

EXCHANGE: Final = "Mimi-Exchange"
"""A nonce of each attempt, echoed by the server: a reply without it belongs to another request."""

REQUEST_ID: Final = "X-Request-ID"
"""An id of each call, echoed, for logs."""

IDEMPOTENCY_KEY: Final = "Idempotency-Key"

IDEMPOTENCY_KEY_PATTERN: Final = "^[0-9A-Za-z_-]{32,128}$"
"""The server derives a user's anonymousId from the create key, so a key must not be guessable."""

ETAG: Final = "ETag"
IF_MATCH: Final = "If-Match"
IF_NONE_MATCH: Final = "If-None-Match"
"""The version of the user, and the conditions of a request on it (RFC 9110, 8.8.3 and 13.1)."""

CURSOR_PATTERN: Final = "^[0-9a-f]{15}$"
"""The start of a page of hearing tests: all tests that were received before this time, in hex microseconds."""

CLOCK_TOLERANCE: Final = 24 * 60 * 60.0
"""Seconds by which a client's time may be ahead of the server's clock."""

PROBLEM_JSON: Final = "application/problem+json"
"""The media type of every error (RFC 9457)."""

PROBLEM_PREFIX: Final = "urn:mimi-async:"

PROBLEMS: Final = {
    "credentials-rejected": (401, "The client id or the client secret is wrong"),
    "token-rejected": (401, "The access token is not valid"),
    "client-not-allowed": (403, "This client may not do this"),
    "unknown-anonymous-id": (404, "No user is known by this anonymousId"),
    "unknown-path": (404, "This path is not one of the contract"),
    "erased": (410, "This user was erased"),
    "conflict": (412, "The user was changed since the version that If-Match names"),
    "invalid-input": (422, "A field of the request is unknown or invalid"),
    "unserviceable": (426, "This version of the SDK is no longer supported"),
}
"""The problem types of the contract: name → (status, title). Every other problem has the type "about:blank"."""

_LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def is_loopback(host: str) -> bool:
    """Return whether a host names this machine literally, where the contract needs no TLS: 127.0.0.0/8, ::1, localhost.

    An IPv4-mapped address such as ::ffff:127.0.0.1 does not count: `ipaddress` judges it by the version of Python.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return any(address in network for network in _LOOPBACK)
