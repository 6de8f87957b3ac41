"""The HTTP contract, version 1: pure functions that build requests and read replies.

The real Mimi backend has no public HTTP API: this contract is our own. A partner with access to another backend passes
`MimiCore(send=…)`, an async function from a `Request` to a `Reply`.

`requests`, `replies` and `reply_errors` are the client's side, `server_side` is the server's, and `openapi` describes
both. No function here does I/O.
"""

from .contract import EXCHANGE, IDEMPOTENCY_KEY, PROBLEM_JSON, REQUEST_ID
from .replies import (
    Session,
    read_creation,
    read_deletion,
    read_export,
    read_session,
    read_submission,
    read_tests,
    read_user,
    read_version,
)
from .reply_errors import Reply, TokenRejectedError, VersionRejectedError, check_exchange, parse_retry_after, read_error
from .requests import (
    Request,
    create_user,
    delete_test,
    erase_user,
    export_user,
    get_user,
    list_tests,
    log_in,
    new_exchange,
    patch_user,
    submit_test,
    validate_test_id,
)

__all__ = [
    "EXCHANGE",
    "IDEMPOTENCY_KEY",
    "PROBLEM_JSON",
    "REQUEST_ID",
    "Reply",
    "Request",
    "Session",
    "TokenRejectedError",
    "VersionRejectedError",
    "check_exchange",
    "create_user",
    "delete_test",
    "erase_user",
    "export_user",
    "get_user",
    "list_tests",
    "log_in",
    "new_exchange",
    "parse_retry_after",
    "patch_user",
    "read_creation",
    "read_deletion",
    "read_error",
    "read_export",
    "read_session",
    "read_submission",
    "read_tests",
    "read_user",
    "read_version",
    "submit_test",
    "validate_test_id",
]
