"""Bodies of replies as the contract says they are, for tests to change."""

import json
from collections.abc import Callable
from typing import Any

from mimi_async import wire
from mimi_async.identity import MimiUser
from mimi_async.secret import AccessToken, AnonymousId
from mimi_async.wire import Reply

ID = AnonymousId("3f2a0000-0000-4000-8000-00000000cafe")
TOKEN = AccessToken("token-1")
USER_ID = "a" * 32
CURRENT = MimiUser(id=USER_ID, anonymous_id=ID)

POINTS = {"250": 5, "500": 10, "1000": 15.5, "2000": 20, "4000": 25, "8000": 30}
TEST = {"id": "test-1", "taken_at": "2026-03-01T12:00:00Z", "calibrated": True, "left": POINTS, "right": POINTS}
USER = {"id": USER_ID, "is_anonymous": True, "year_of_birth": 1980, "sex": "female", "latest_hearing_test": None}
SESSION = {"user": USER, "access_token": "token-1", "expires_in": 900}
CREATION = {**SESSION, "anonymous_id": ID.reveal()}


def reply(document: Any, status: int = 200, content_type: str = "application/json") -> Reply:
    """A reply with a document as its body, or with bytes as they are."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Reply(status, body, content_type, exchange="exchange-1", request_id="request-1")


def problem(status: int, name: str | None = None, **changes: Any) -> Reply:
    """A problem of the contract."""
    kind = "about:blank" if name is None else f"urn:mimi-async:{name}"
    document = {"type": kind, "title": "t", "status": status, "detail": "d", "request_id": "request-1", **changes}
    return reply(document, status, "application/problem+json")


READERS: dict[str, Callable[[Reply], object]] = {
    "session": lambda reply: wire.read_session(reply, ID),
    "creation": wire.read_creation,
    "user": lambda reply: wire.read_user(reply, CURRENT),
    "test": wire.read_submission,
    "tests": wire.read_tests,
    "export": lambda reply: wire.read_export(reply, CURRENT),
    "deletion": wire.read_deletion,
}
EXPORT: dict[str, Any] = {"user": USER, "created_at": "2026-05-04T03:02:01Z", "hearing_tests": []}
OF_USERS: dict[str, dict[str, Any]] = {"session": SESSION, "creation": CREATION, "user": USER, "export": EXPORT}


def with_user(name: str, /, **changes: object) -> dict[str, Any]:
    """A good body for a reader, with changes of its user."""
    user = {**USER, **changes}
    return user if name == "user" else {**OF_USERS[name], "user": user}
