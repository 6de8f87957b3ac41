"""What a reply means: a value, or the error that the contract's table says."""

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimi_async import errors, wire
from mimi_async.errors import MimiError, ProtocolError
from mimi_async.hearing.results import FREQUENCIES
from mimi_async.wire import Reply, TokenRejectedError, VersionRejectedError

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
    test, is_latest = wire.read_submission(reply({**TEST, "is_latest": status == 201}, status))
    assert (test.id, is_latest) == ("test-1", status == 201)


@pytest.mark.parametrize("more", [{"next_cursor": "c"}, {"next_cursor": None}, {}])
def test_reads_a_page_of_hearing_tests(more: dict[str, str | None]) -> None:
    tests, cursor = wire.read_tests(reply({"tests": [TEST, TEST], **more}))
    assert [test.id for test in tests] == ["test-1"] * 2
    assert cursor == more.get("next_cursor")


def test_reads_an_export_as_it_is() -> None:
    body = json.dumps({**EXPORT, "more": "that a later version may hold"}, indent=3).encode()
    assert wire.read_export(reply(body), CURRENT) == body


def test_reads_a_deletion() -> None:
    wire.read_deletion(reply(b"", 204))


def test_a_304_stands_for_the_user_of_the_version_that_is_known_and_for_no_other() -> None:
    assert wire.read_user(reply(b"", 304), CURRENT, known=CURRENT) is CURRENT
    with pytest.raises(ProtocolError):
        wire.read_user(reply(b"", 304), CURRENT)


@pytest.mark.parametrize(
    ("etag", "version"),
    [
        ('"abc"', '"abc"'),
        ('W/"abc"', None),
        ("abc", None),
        ("*", None),
        ('"a"b"', None),
        ('"a", "b"', None),
        (None, None),
    ],
)
def test_a_version_is_a_strong_entity_tag(etag: str | None, version: str | None) -> None:
    assert wire.read_version(Reply(200, etag=etag)) == version


TABLE: list[tuple[Reply, type[MimiError]]] = [
    (problem(401, "credentials-rejected"), errors.CredentialsRejectedError),
    (problem(403, "client-not-allowed"), errors.CredentialsRejectedError),
    (problem(401, "token-rejected"), TokenRejectedError),
    (problem(404, "unknown-anonymous-id"), errors.UnknownAnonymousIdError),
    (problem(404, "unknown-path"), errors.ConfigurationError),
    (problem(410, "erased"), errors.ErasedAnonymousIdError),
    (problem(412, "conflict"), VersionRejectedError),
    (problem(422, "invalid-input"), errors.InvalidInputError),
    (problem(426, "unserviceable"), errors.UnserviceableError),
    *((problem(status), errors.ServerBusyError) for status in (408, 425, 429, 500, 502, 503, 504, 599)),
    *((reply(b"<html>", status, "text/html"), errors.ServerBusyError) for status in (429, 503)),
    *((problem(status), ProtocolError) for status in (400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 426)),
    *((reply(b"", status, ""), ProtocolError) for status in (100, 101, 301, 304, 307, 402, 418, 451)),
]


@pytest.mark.parametrize(("answer", "error"), TABLE, ids=lambda row: getattr(row, "status", None))
def test_each_status_is_the_error_of_the_table(answer: Reply, error: type[MimiError]) -> None:
    for name, read in READERS.items():
        with pytest.raises(MimiError) as caught:
            read(answer)
        assert (type(caught.value), caught.value.request_id) == (error, "request-1"), name


@pytest.mark.parametrize("name", ["unknown-anonymous-id", "erased", "credentials-rejected", "unserviceable"])
@pytest.mark.parametrize("status", [401, 403, 404, 410, 426])
def test_a_verdict_is_only_one_with_its_own_status(name: str, status: int) -> None:
    is_verdict = wire.contract.PROBLEMS[name][0] == status
    assert isinstance(wire.read_error(problem(status, name)), ProtocolError) is not is_verdict


@pytest.mark.parametrize("content_type", ["application/json", "text/html", ""])
def test_a_verdict_is_only_one_as_a_problem(content_type: str) -> None:
    """A 404 of a portal or a framework is not a verdict about an id."""
    body = problem(404, "unknown-anonymous-id").body
    assert type(wire.read_error(reply(body, 404, content_type))) is ProtocolError


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"type": 7}', b'{"type": "urn:other:erased"}', b"\xff"])
def test_a_problem_that_cannot_be_read_is_not_a_verdict(body: bytes) -> None:
    assert type(wire.read_error(reply(body, 410, "application/problem+json"))) is ProtocolError


def test_what_a_problem_says_beyond_the_contract_is_ignored() -> None:
    answer = problem(410, "erased", instance="/x", more=[1])
    assert isinstance(wire.read_error(answer), errors.ErasedAnonymousIdError)


def test_the_messages_hold_facts_and_remedies_and_no_text_of_the_server() -> None:
    for answer, _ in TABLE:
        error = wire.read_error(
            Reply(answer.status, answer.body, answer.content_type, request_id="request-1"), about=ID
        )
        assert error is not None
        assert ID.reveal() not in str(error)
    unknown = wire.read_error(problem(404, "unknown-anonymous-id", detail="hush"), about=ID)
    assert str(unknown).startswith("the server has no user of 3f2a…; the record was kept:")
    busy = wire.read_error(Reply(503, retry_after=7.5))
    assert "asks to wait 7.5 s" in str(busy)
    assert isinstance(busy, errors.ServerBusyError)
    assert busy.retry_after == 7.5


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206])
def test_a_success_is_not_an_error(status: int) -> None:
    assert wire.read_error(Reply(status)) is None


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("session", 201),
        ("session", 204),
        ("creation", 202),
        ("user", 201),
        ("test", 204),
        ("deletion", 200),
    ],
)
def test_an_unexpected_success_is_refused(name: str, status: int) -> None:
    with pytest.raises(ProtocolError, match=f"unexpected status {status} for this request"):
        READERS[name](reply(CREATION, status))


@pytest.mark.parametrize(
    "answer", [reply(SESSION), reply(b"", 204), reply(b"", 304), problem(410, "erased"), problem(422, "invalid-input")]
)
def test_a_reply_of_the_contract_must_belong_to_this_exchange(answer: Reply) -> None:
    wire.check_exchange(answer, "exchange-1")
    with pytest.raises(ProtocolError, match="another exchange"):
        wire.check_exchange(answer, "exchange-2")


@pytest.mark.parametrize("answer", [problem(503), problem(404), reply(b"<html>", 404, "text/html"), reply(b"", 302)])
def test_a_reply_outside_the_contract_is_judged_by_its_status(answer: Reply) -> None:
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
    assert wire.parse_retry_after(header, now) == seconds


@pytest.mark.parametrize(
    ("date", "seconds"),
    [("Sun, 06 Nov 1994 08:49:37 GMT", 30.0), ("Sun, 06 Nov 1994 09:00:00 GMT", 0.0), ("soon", 67.0), (None, 67.0)],
)
def test_a_date_to_wait_for_is_relative_to_the_date_of_the_same_reply(date: str | None, seconds: float) -> None:
    """The client's clock may be years behind the server's."""
    now = dt.datetime(1994, 11, 6, 8, 49, tzinfo=dt.UTC).timestamp()
    assert wire.parse_retry_after("Sun, 06 Nov 1994 08:50:07 GMT", now, date=date) == seconds


@given(st.text() | st.text("0123456789 ,:+-GMTJanMon"))
def test_whatever_a_header_says_the_wait_is_a_number_or_unknown(header: str) -> None:
    seconds = wire.parse_retry_after(header, 0.0)
    assert seconds is None or seconds >= 0
