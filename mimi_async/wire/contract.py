"""The names of the HTTP contract, version 1: paths, headers and problem types, for both ends."""

from typing import Final

ANONYMOUS_USERS: Final = "/v1/anonymous-users"
SESSIONS: Final = "/v1/sessions"
USER: Final = "/v1/user"
EXPORT: Final = "/v1/user/export"
HEARING_TESTS: Final = "/v1/user/hearing-tests"
HEALTH: Final = "/healthz"
READINESS: Final = "/readyz"
OPENAPI: Final = "/openapi.json"

EXCHANGE: Final = "Mimi-Exchange"
"""A nonce for each attempt, echoed by the server: a reply without it belongs to somebody else."""

REQUEST_ID: Final = "X-Request-ID"
"""One for each call, echoed, for logs."""

IDEMPOTENCY_KEY: Final = "Idempotency-Key"

IDEMPOTENCY_KEY_SHAPE: Final = "^[0-9A-Za-z_-]{32,128}$"
"""A user's id is derived from the key of its creation: a key that could be guessed would give the id away."""

PROBLEM_JSON: Final = "application/problem+json"
"""The media type of every error (RFC 9457)."""

PROBLEM_PREFIX: Final = "urn:mimi-async:"

PROBLEMS: Final = {
    "credentials-rejected": (401, "The client id or the client secret is wrong"),
    "token-rejected": (401, "The access token is not valid"),
    "client-not-allowed": (403, "This client may not do this"),
    "unknown-anonymous-id": (404, "No user is known by this anonymousId"),
    "erased": (410, "This user was erased"),
    "invalid-input": (422, "A field of the request is unknown or invalid"),
    "unserviceable": (426, "This version of the SDK is no longer supported"),
}
"""Our problem types: name → (status, title). Every other problem has the type "about:blank"."""
