"""The requests of the client."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimi_async import wire
from mimi_async.errors import InvalidInputError
from mimi_async.hearing.results import FREQUENCIES, HearingTestResult
from mimi_async.secret import CreateKey
from mimi_async.wire import Request

from .bodies import ID, TOKEN

KEY = CreateKey("c0ffee" * 10 + "cafe")
EAR = dict(zip(FREQUENCIES, (5, 10, 15.5, 20, 25, 30), strict=True))
RESULT = HearingTestResult(taken_at=dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC), calibrated=True, left=EAR, right=EAR)

MADE: dict[str, tuple[Callable[..., Request], tuple[object, ...], tuple[str, str]]] = {
    "create": (wire.create_user, (KEY,), ("POST", "/v1/anonymous-users")),
    "log in": (wire.log_in, (ID,), ("POST", "/v1/sessions")),
    "get": (wire.get_user, (TOKEN,), ("GET", "/v1/user")),
    "patch": (wire.patch_user, ({"sex": None}, TOKEN), ("PATCH", "/v1/user")),
    "erase": (wire.erase_user, (TOKEN,), ("DELETE", "/v1/user")),
    "export": (wire.export_user, (TOKEN,), ("GET", "/v1/user/export")),
    "submit": (wire.submit_test, (RESULT, KEY, TOKEN), ("POST", "/v1/user/hearing-tests")),
    "list": (wire.list_tests, (None, TOKEN), ("GET", "/v1/user/hearing-tests")),
    "delete": (wire.delete_test, ("test-1", TOKEN), ("DELETE", "/v1/user/hearing-tests/test-1")),
}
each_request = pytest.mark.parametrize("name", MADE)


def make(name: str, **more: float) -> Request:
    build, arguments, _ = MADE[name]
    return build(*arguments, **more)


@each_request
def test_a_request_is_that_of_the_contract(name: str) -> None:
    request = make(name)
    assert (request.method, request.path) == MADE[name][2]
    assert request.deadline is None
    assert make(name, deadline=12.5).deadline == 12.5
    assert request.limit == (16 * 1024 * 1024 if name == "export" else 64 * 1024)
    assert request.token == (None if name in ("create", "log in") else TOKEN)
    assert request.idempotency_key == (KEY if name in ("create", "submit") else None)
    assert request.is_replayable


def test_a_read_and_a_change_are_conditional_where_a_version_is_named() -> None:
    assert wire.get_user(TOKEN, if_none_match='"v1"').if_none_match == '"v1"'
    assert wire.patch_user({}, TOKEN, if_match='"v1"').if_match == '"v1"'
    assert all(make(name).if_match is make(name).if_none_match is None for name in MADE)


@pytest.mark.parametrize(
    "test_id", ["..", ".", "", "a/b", "../user", "%2e%2e", "a?b", "a#b", "a\n", "é", "a" * 65, None, 7]
)
def test_an_id_of_a_hearing_test_that_could_lead_to_another_path_is_refused(test_id: Any) -> None:
    """`DELETE /v1/user/hearing-tests/..` would erase the user."""
    with pytest.raises(InvalidInputError):
        wire.delete_test(test_id, TOKEN)


@each_request
def test_ids_keys_and_tokens_are_never_in_an_address_or_a_repr(name: str) -> None:
    shown = repr(make(name)) + make(name).path
    assert [text for text in (ID.reveal(), KEY.reveal(), TOKEN.reveal(), "1980") if text in shown] == []


@pytest.mark.parametrize(
    ("request_", "is_replayable"),
    [
        (Request(method="POST", path="/v1/user/hearing-tests"), False),
        (Request(method="POST", path="/v1/anonymous-users"), False),
        (Request(method="POST", path="/v1/anonymous-users", idempotency_key=KEY), True),
        (Request(method="POST", path="/v1/sessions"), True),
        (Request(method="PATCH", path="/v1/user"), True),
    ],
)
def test_a_post_without_a_key_may_not_be_repeated_save_a_log_in(request_: Request, is_replayable: bool) -> None:
    assert request_.is_replayable is is_replayable


def test_the_body_of_a_creation_is_empty_and_that_of_a_log_in_holds_the_id() -> None:
    assert make("create").body == b"{}"
    assert json.loads(make("log in").body or b"") == {"anonymous_id": ID.reveal()}


@pytest.mark.parametrize(
    "changes",
    [{"year_of_birth": 1980}, {"year_of_birth": None}, {"sex": "male"}, {"sex": None, "year_of_birth": 1990}, {}],
)
def test_a_patch_holds_what_changes_and_nothing_else(changes: dict[str, object]) -> None:
    assert json.loads(wire.patch_user(changes, TOKEN).body or b"") == changes


def test_a_hearing_test_is_sent_whole_and_without_an_id() -> None:
    points = {"250": 5, "500": 10, "1000": 15.5, "2000": 20, "4000": 25, "8000": 30}
    assert json.loads(make("submit").body or b"") == {
        "taken_at": "2026-03-01T12:00:00Z",
        "calibrated": True,
        "left": points,
        "right": points,
    }


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_cursor_is_one_part_of_a_query(cursor: str) -> None:
    path, _, query = wire.list_tests(cursor, TOKEN).path.partition("?cursor=")
    assert path == "/v1/user/hearing-tests"
    assert query.isascii()
    assert not set(query) & set(" /?#&=+\r\n")


def test_each_attempt_gets_a_nonce_of_its_own() -> None:
    nonces = {wire.new_exchange() for _ in range(1000)}
    assert len(nonces) == 1000
    assert {len(bytes.fromhex(nonce)) for nonce in nonces} == {8}
