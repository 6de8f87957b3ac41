"""What a request says."""

import datetime as dt
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimi_async import wire
from mimi_async.hearing.results import FREQUENCIES, HearingTestResult
from mimi_async.identity import CreateKey
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
}
each_request = pytest.mark.parametrize("name", MADE)


def made(name: str, **more: float) -> Request:
    make, arguments, _ = MADE[name]
    return make(*arguments, **more)


@each_request
def test_says_what_the_contract_says(name: str) -> None:
    request = made(name)
    assert (request.method, request.path) == MADE[name][2]
    assert request.deadline is None
    assert request.limit == (16 * 1024 * 1024 if name == "export" else 64 * 1024)


@each_request
def test_carries_the_deadline_of_its_caller(name: str) -> None:
    assert made(name, deadline=12.5).deadline == 12.5


@each_request
def test_the_client_creates_and_logs_in_and_the_user_does_the_rest(name: str) -> None:
    assert made(name).token == (None if name in ("create", "log in") else TOKEN)


@each_request
def test_ids_keys_and_tokens_are_never_in_an_address_or_a_repr(name: str) -> None:
    shown = repr(made(name)) + made(name).path
    assert [text for text in (ID.reveal(), KEY.reveal(), TOKEN.reveal(), "1980") if text in shown] == []


@each_request
def test_all_of_the_contract_may_be_repeated(name: str) -> None:
    assert made(name).replayable


@pytest.mark.parametrize(
    ("request_", "replayable"),
    [
        (Request(method="POST", path="/v1/user/hearing-tests"), False),
        (Request(method="POST", path="/v1/anonymous-users"), False),
        (Request(method="POST", path="/v1/anonymous-users", idempotency_key=KEY), True),
        (Request(method="POST", path="/v1/sessions"), True),
        (Request(method="PATCH", path="/v1/user"), True),
    ],
)
def test_a_post_without_a_key_may_not_be_repeated_save_a_log_in(request_: Request, replayable: bool) -> None:
    assert request_.replayable is replayable


@each_request
def test_only_what_makes_something_has_a_key(name: str) -> None:
    assert made(name).idempotency_key == (KEY if name in ("create", "submit") else None)


def test_a_creation_can_say_nothing_about_who_it_is() -> None:
    assert made("create").body == b"{}"


def test_the_id_is_in_the_body_of_a_log_in() -> None:
    assert json.loads(made("log in").body or b"") == {"anonymous_id": ID.reveal()}


@pytest.mark.parametrize(
    "changes",
    [{"year_of_birth": 1980}, {"year_of_birth": None}, {"sex": "male"}, {"sex": None, "year_of_birth": 1990}, {}],
)
def test_a_patch_holds_what_changes_and_nothing_else(changes: dict[str, object]) -> None:
    assert json.loads(wire.patch_user(changes, TOKEN).body or b"") == changes


def test_a_hearing_test_is_sent_whole_and_without_an_id() -> None:
    points = {"250": 5, "500": 10, "1000": 15.5, "2000": 20, "4000": 25, "8000": 30}
    assert json.loads(made("submit").body or b"") == {
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
    nonces = {wire.fresh_exchange() for _ in range(1000)}
    assert len(nonces) == 1000
    assert {len(bytes.fromhex(nonce)) for nonce in nonces} == {8}
