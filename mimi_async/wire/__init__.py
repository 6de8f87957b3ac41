"""The HTTP contract, version 1: what is said on the wire, without saying it.

The real Mimi backend has no public HTTP API: this contract is our own. A partner with access to another backend gives
the core a `send` of his own, which turns a `Request` into a `Reply`, and keeps the rest.

`requests`, `verdicts` and `replies` are the client's side, `service` the server's, and `openapi` describes both.
Everything here is pure: nothing is opened, sent or kept.
"""

from .contract import EXCHANGE, IDEMPOTENCY_KEY, PROBLEM_JSON, REQUEST_ID
from .replies import (
    Session,
    read_creation,
    read_erasure,
    read_export,
    read_session,
    read_test,
    read_tests,
    read_user,
)
from .requests import (
    Request,
    create_user,
    erase_user,
    export_user,
    fresh_exchange,
    get_user,
    list_tests,
    log_in,
    patch_user,
    submit_test,
)
from .verdicts import Reply, TokenRejectedError, check_exchange, failure, seconds_to_wait

__all__ = [
    "EXCHANGE",
    "IDEMPOTENCY_KEY",
    "PROBLEM_JSON",
    "REQUEST_ID",
    "Reply",
    "Request",
    "Session",
    "TokenRejectedError",
    "check_exchange",
    "create_user",
    "erase_user",
    "export_user",
    "failure",
    "fresh_exchange",
    "get_user",
    "list_tests",
    "log_in",
    "patch_user",
    "read_creation",
    "read_erasure",
    "read_export",
    "read_session",
    "read_test",
    "read_tests",
    "read_user",
    "seconds_to_wait",
    "submit_test",
]
