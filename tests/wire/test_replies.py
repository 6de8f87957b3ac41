"""What a reply means: a value, or the error that the contract's table says."""

import datetime as dt
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimi_async import errors, wire
from mimi_async.errors import MimiError, ProtocolError
from mimi_async.hearing.results import FREQUENCIES
from mimi_async.wire import Reply, TokenRejectedError

from .bodies import (
    CREATION,
    CURRENT,
    EXPORT,
    ID,
    POINTS,
    READERS,
    SESSION,
    TEST,
    USER,
    USER_ID,
    problem,
    reply,
    with_user,
)

each_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


def test_reads_a_session() -> None:
    session = wire.read_session(reply(with_user("session", latest_hearing_test=TEST)), ID, user_id=USER_ID)
    user = session.user
    assert (user.id, user.anonymous_id, user.year_of_birth, user.sex) == (USER_ID, ID, 1980, "female")
    assert user.latest_hearing_test is not None
    assert list(user.latest_hearing_test.left) == list(zip(FREQUENCIES, POINTS.values(), strict=True))
    assert user.latest_hearing_test.taken_at == dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    assert (session.token.reveal(), session.expires_in) == ("token-1", 900.0)
    assert "token-1" not in repr(session)


@pytest.mark.parametrize("status", [200, 201])
def test_reads_a_creation_and_its_replay(status: int) -> None:
    assert wire.read_creation(reply(CREATION, status)).user.anonymous_id == ID


def test_reads_a_user_with_the_id_it_has() -> None:
    assert wire.read_user(reply({**USER, "year_of_birth": None, "sex": None}), CURRENT) == CURRENT


@pytest.mark.parametrize("status", [200, 201])
def test_reads_a_hearing_test_that_was_kept(status: int) -> None:
    assert wire.read_test(reply(TEST, status)).id == "test-1"


@pytest.mark.parametrize("more", [{"next_cursor": "c"}, {"next_cursor": None}, {}])
def test_reads_a_page_of_hearing_tests(more: dict[str, str | None]) -> None:
    tests, cursor = wire.read_tests(reply({"tests": [TEST, TEST], **more}))
    assert [test.id for test in tests] == ["test-1"] * 2
    assert cursor == more.get("next_cursor")


def test_reads_an_export_as_it_is() -> None:
    body = json.dumps({**EXPORT, "more": "that a later version may hold"}, indent=3).encode()
    assert wire.read_export(reply(body), CURRENT) == body


def test_reads_an_erasure() -> None:
    wire.read_erasure(reply(b"", 204))


TABLE: list[tuple[Reply, type[MimiError]]] = [
    (problem(401, "credentials-rejected"), errors.CredentialsRejectedError),
    (problem(403, "client-not-allowed"), errors.CredentialsRejectedError),
    (problem(401, "token-rejected"), TokenRejectedError),
    (problem(404, "unknown-anonymous-id"), errors.UnknownAnonymousIdError),
    (problem(410, "erased"), errors.ErasedAnonymousIdError),
    (problem(422, "invalid-input"), errors.InvalidInputError),
    (problem(426, "unserviceable"), errors.UnserviceableError),
    *((problem(status), errors.ServerBusyError) for status in (408, 425, 429, 500, 502, 503, 504, 599)),
    *((reply(b"<html>", status, "text/html"), errors.ServerBusyError) for status in (429, 503)),
    *((problem(status), ProtocolError) for status in (400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 426)),
    *((reply(b"", status, ""), ProtocolError) for status in (100, 101, 301, 307, 402, 418, 451)),
]


@each_reader
@pytest.mark.parametrize(("answer", "error"), TABLE, ids=lambda row: getattr(row, "status", None))
def test_each_status_is_the_error_of_the_table(
    answer: Reply, error: type[MimiError], read: Callable[[Reply], object]
) -> None:
    with pytest.raises(MimiError) as caught:
        read(answer)
    assert type(caught.value) is error
    assert caught.value.request_id == "request-1"


@pytest.mark.parametrize("name", ["unknown-anonymous-id", "erased", "credentials-rejected", "unserviceable"])
@pytest.mark.parametrize("status", [401, 403, 404, 410, 426])
def test_a_verdict_is_only_one_with_its_own_status(name: str, status: int) -> None:
    is_verdict = wire.contract.PROBLEMS[name][0] == status
    assert isinstance(wire.failure(problem(status, name)), ProtocolError) is not is_verdict


@pytest.mark.parametrize("content_type", ["application/json", "text/html", ""])
def test_a_verdict_is_only_one_as_a_problem(content_type: str) -> None:
    """A portal's or a framework's 404 tells nothing about an id."""
    body = problem(404, "unknown-anonymous-id").body
    assert type(wire.failure(reply(body, 404, content_type))) is ProtocolError


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"type": 7}', b'{"type": "urn:other:erased"}', b"\xff"])
def test_a_problem_that_can_not_be_read_is_no_verdict(body: bytes) -> None:
    assert type(wire.failure(reply(body, 410, "application/problem+json"))) is ProtocolError


def test_what_a_problem_says_beyond_the_contract_is_ignored() -> None:
    answer = problem(410, "erased", instance="/x", more=[1])
    assert isinstance(wire.failure(answer), errors.ErasedAnonymousIdError)


def test_the_messages_tell_facts_and_remedies_and_quote_no_server() -> None:
    for answer, _ in TABLE:
        error = wire.failure(Reply(answer.status, answer.body, answer.content_type, request_id="request-1"), about=ID)
        assert error is not None
        assert ID.reveal() not in str(error)
    unknown = wire.failure(problem(404, "unknown-anonymous-id", detail="hush"), about=ID)
    assert str(unknown).startswith("no user is known by 3f2a…; the id was kept:")
    busy = wire.failure(Reply(503, retry_after=7.5))
    assert "asks to wait 7.5 s" in str(busy)
    assert isinstance(busy, errors.ServerBusyError)
    assert busy.retry_after == 7.5


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206])
def test_a_success_is_no_failure(status: int) -> None:
    assert wire.failure(Reply(status)) is None


@pytest.mark.parametrize(
    ("name", "status"),
    [("session", 201), ("session", 204), ("creation", 202), ("user", 201), ("test", 204), ("erasure", 200)],
)
def test_a_success_of_another_kind_is_no_answer(name: str, status: int) -> None:
    with pytest.raises(ProtocolError, match=f"a {status} is no answer to this request"):
        READERS[name](reply(CREATION, status))


@pytest.mark.parametrize(
    "answer", [reply(SESSION), reply(b"", 204), problem(410, "erased"), problem(422, "invalid-input")]
)
def test_an_answer_of_ours_must_be_of_this_exchange(answer: Reply) -> None:
    wire.check_exchange(answer, "exchange-1")
    with pytest.raises(ProtocolError, match="another exchange"):
        wire.check_exchange(answer, "exchange-2")


@pytest.mark.parametrize("answer", [problem(503), problem(404), reply(b"<html>", 404, "text/html"), reply(b"", 302)])
def test_an_answer_of_a_stranger_is_judged_by_its_status(answer: Reply) -> None:
    wire.check_exchange(answer, "exchange-2")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        ("9" * 400, 999_999_999.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 37.0),
        ("Sun, 06 Nov 1994 08:48:00 GMT", 0.0),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_reads_how_long_to_wait(header: str | None, seconds: float | None) -> None:
    now = dt.datetime(1994, 11, 6, 8, 49, tzinfo=dt.UTC).timestamp()
    assert wire.seconds_to_wait(header, now) == seconds


@given(st.text() | st.text("0123456789 ,:+-GMTJanMon"))
def test_whatever_a_header_says_the_wait_is_a_number_or_unknown(header: str) -> None:
    seconds = wire.seconds_to_wait(header, 0.0)
    assert seconds is None or seconds >= 0
