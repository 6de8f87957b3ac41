"""The client's side: pure functions that build a request."""

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import attrs

from ..errors import InvalidInputError
from ..hearing.results import HearingTestResult
from ..secret import AccessToken, AnonymousId, CreateKey, Secret
from . import contract
from .messages import LogIn, NewHearingTest, NewPoints, UserPatch, build_test, encode_input

_TEST_ID = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)

REPLY_LIMIT = 64 * 1024
"""The maximum size of a reply in bytes."""

EXPORT_LIMIT = 16 * 1024 * 1024
"""The maximum size of an export in bytes: it holds every hearing test of a user."""


@attrs.frozen(kw_only=True)
class Request:
    """One request of the contract, without its credentials.

    Attributes:
        method: The HTTP method.
        path: The path below the server's address, with the query. Holds no anonymousId.
        body: The JSON body, or None.
        token: The access token, sent as Bearer (RFC 6750); None sends the client credentials as Basic (RFC 7617).
        idempotency_key: The key by which the server recognises a repeated POST.
        if_match: The version that the user must have, as an entity tag (RFC 9110, 13.1.1).
        if_none_match: The version that the client has; a 304 confirms it (RFC 9110, 13.1.2).
        deadline: The loop time by which the reply must arrive; None for the sender's own limit.
        limit: The maximum size of the reply in bytes.
    """

    method: str
    path: str
    body: bytes | None = attrs.field(default=None, repr=False)
    token: AccessToken | None = None
    idempotency_key: Secret | None = None
    if_match: str | None = None
    if_none_match: str | None = None
    deadline: float | None = None
    limit: int = REPLY_LIMIT

    @property
    def is_replayable(self) -> bool:
        """Whether the request may be sent again after its bytes have left. A POST without a key may not."""
        return self.method != "POST" or self.idempotency_key is not None or self.path == contract.SESSIONS


def create_user(key: CreateKey, *, deadline: float | None = None) -> Request:
    """Build the request for a new anonymous user. A replay with the same key returns the same user."""
    return Request(method="POST", path=contract.ANONYMOUS_USERS, body=b"{}", idempotency_key=key, deadline=deadline)


def log_in(anonymous_id: AnonymousId, *, deadline: float | None = None) -> Request:
    """Build the request for a session of the user of an anonymousId."""
    body = encode_input(LogIn(anonymous_id=anonymous_id))
    return Request(method="POST", path=contract.SESSIONS, body=body, deadline=deadline)


def get_user(token: AccessToken, *, if_none_match: str | None = None, deadline: float | None = None) -> Request:
    """Build the request for the current user; with a version, conditional on a change of it."""
    return Request(method="GET", path=contract.USER, token=token, if_none_match=if_none_match, deadline=deadline)


def patch_user(
    changes: Mapping[str, Any], token: AccessToken, *, if_match: str | None = None, deadline: float | None = None
) -> Request:
    """Build the change of `year_of_birth`, `sex` or both; None clears. With a version, conditional on it."""
    body = encode_input(UserPatch(**changes))
    return Request(method="PATCH", path=contract.USER, body=body, token=token, if_match=if_match, deadline=deadline)


def erase_user(token: AccessToken, *, deadline: float | None = None) -> Request:
    """Build the request that erases the user permanently."""
    return Request(method="DELETE", path=contract.USER, token=token, deadline=deadline)


def export_user(token: AccessToken, *, deadline: float | None = None) -> Request:
    """Build the request for all data that the server holds about the user."""
    return Request(method="GET", path=contract.EXPORT, token=token, deadline=deadline, limit=EXPORT_LIMIT)


def submit_test(
    result: HearingTestResult, key: Secret, token: AccessToken, *, deadline: float | None = None
) -> Request:
    """Build the submission of a hearing test. The server stores it once for each key."""
    path, body = contract.HEARING_TESTS, encode_input(NewHearingTest(**build_test(result, NewPoints)))
    return Request(method="POST", path=path, body=body, token=token, idempotency_key=key, deadline=deadline)


def list_tests(cursor: str | None, token: AccessToken, *, deadline: float | None = None) -> Request:
    """Build the request for a page of hearing tests, the last received first. The cursor is that of the page before."""
    query = "" if cursor is None else f"?cursor={quote(cursor, safe='')}"
    return Request(method="GET", path=contract.HEARING_TESTS + query, token=token, deadline=deadline)


def delete_test(test_id: str, token: AccessToken, *, deadline: float | None = None) -> Request:
    """Build the deletion of a hearing test. Raises as `validate_test_id`."""
    path = contract.HEARING_TEST.format(id=validate_test_id(test_id))
    return Request(method="DELETE", path=path, token=token, deadline=deadline)


def validate_test_id(test_id: object) -> str:
    """Return the id of a hearing test if it is safe as a segment of a path.

    Raises:
        InvalidInputError: The id is not one that a server assigns, so it could lead to another path.
    """
    if isinstance(test_id, str) and _TEST_ID.fullmatch(test_id):
        return test_id
    msg = "the id of a hearing test is `HearingTestResult.id` of a submitted test"
    raise InvalidInputError(msg)


def new_exchange() -> str:
    """Return a new nonce for one attempt."""
    return os.urandom(8).hex()
