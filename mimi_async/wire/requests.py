"""The contract seen from the client, one half: pure functions that make a request."""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import attrs

from ..hearing.results import HearingTestResult
from ..identity import AccessToken, AnonymousId, CreateKey, Secret
from . import contract
from .messages import LogIn, NewHearingTest, NewPoints, UserPatch, encode, points_of

USUAL_LIMIT = 64 * 1024
"""Bytes that a reply may have."""

EXPORT_LIMIT = 16 * 1024 * 1024
"""Bytes that an export may have: it holds every hearing test of a user."""


@attrs.frozen(kw_only=True)
class Request:
    """One request of the contract, before anybody has authenticated or sent it.

    Attributes:
        method: The HTTP method.
        path: The path below the server's address, query included. Never holds an id.
        body: The JSON to send, or None.
        token: The access token to send as Bearer (RFC 6750); None means: the client credentials, as Basic (RFC 7617).
        idempotency_key: What makes a POST safe to send twice.
        deadline: The loop time by which an answer is of use; None leaves it to the sender.
        limit: How many bytes the reply may have.
    """

    method: str
    path: str
    body: bytes | None = attrs.field(default=None, repr=False)
    token: AccessToken | None = None
    idempotency_key: Secret | None = None
    deadline: float | None = None
    limit: int = USUAL_LIMIT

    @property
    def replayable(self) -> bool:
        """Whether it may be sent again once its bytes have left: only a POST without a key makes something twice."""
        return self.method != "POST" or self.idempotency_key is not None or self.path == contract.SESSIONS


def create_user(key: CreateKey, *, deadline: float | None = None) -> Request:
    """Ask for a new anonymous user; the same key gets the same user, ever after."""
    return Request(method="POST", path=contract.ANONYMOUS_USERS, body=b"{}", idempotency_key=key, deadline=deadline)


def log_in(anonymous_id: AnonymousId, *, deadline: float | None = None) -> Request:
    """Ask for a session of the user behind an id."""
    body = encode(LogIn(anonymous_id=anonymous_id))
    return Request(method="POST", path=contract.SESSIONS, body=body, deadline=deadline)


def get_user(token: AccessToken, *, deadline: float | None = None) -> Request:
    """Ask for the user as it is now."""
    return Request(method="GET", path=contract.USER, token=token, deadline=deadline)


def patch_user(changes: Mapping[str, Any], token: AccessToken, *, deadline: float | None = None) -> Request:
    """Ask to change `year_of_birth`, `sex` or both; None clears."""
    return Request(
        method="PATCH", path=contract.USER, body=encode(UserPatch(**changes)), token=token, deadline=deadline
    )


def erase_user(token: AccessToken, *, deadline: float | None = None) -> Request:
    """Ask to erase the user for ever."""
    return Request(method="DELETE", path=contract.USER, token=token, deadline=deadline)


def export_user(token: AccessToken, *, deadline: float | None = None) -> Request:
    """Ask for everything that the server holds about the user."""
    return Request(method="GET", path=contract.EXPORT, token=token, deadline=deadline, limit=EXPORT_LIMIT)


def submit_test(
    result: HearingTestResult, key: Secret, token: AccessToken, *, deadline: float | None = None
) -> Request:
    """Ask to keep a hearing test; the same key keeps it once."""
    message = NewHearingTest(
        taken_at=result.taken_at,
        calibrated=result.calibrated,
        left=NewPoints(**points_of(result.left)),
        right=NewPoints(**points_of(result.right)),
    )
    path, body = contract.HEARING_TESTS, encode(message)
    return Request(method="POST", path=path, body=body, token=token, idempotency_key=key, deadline=deadline)


def list_tests(cursor: str | None, token: AccessToken, *, deadline: float | None = None) -> Request:
    """Ask for a page of hearing tests, newest first; a cursor is given by the page before."""
    query = "" if cursor is None else f"?cursor={quote(cursor, safe='')}"
    return Request(method="GET", path=contract.HEARING_TESTS + query, token=token, deadline=deadline)


def fresh_exchange() -> str:
    """Return a nonce for one attempt."""
    return os.urandom(8).hex()
