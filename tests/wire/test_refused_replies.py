"""Replies that are refused: they name a person, belong to another user, or can't be read."""

import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimi_async import wire
from mimi_async.errors import AnonymityViolationError, MimiError, ProtocolError
from mimi_async.wire import Reply

from .bodies import CREATION, CURRENT, ID, OF_USERS, POINTS, READERS, SESSION, TEST, USER, USER_ID, reply, with_user

each_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS)
each_user_reader = pytest.mark.parametrize("name", OF_USERS)


@each_user_reader
@pytest.mark.parametrize(
    "changes",
    [
        {"is_anonymous": False},
        {"is_anonymous": None},
        {"is_anonymous": "true"},
        {"is_anonymous": 1},
        {"name": "Ada"},
        {"email": None},
        {"is_anonymous": False, "id": "broken"},
        {"nickname": "Ada", "id": 7},
    ],
    ids=str,
)
def test_a_reply_that_names_a_person_is_refused_as_such(name: str, changes: dict[str, object]) -> None:
    with pytest.raises(AnonymityViolationError, match="nothing was adopted") as caught:
        READERS[name](reply(with_user(name, **changes)))
    assert "Ada" not in str(caught.value)


@each_user_reader
def test_a_user_that_does_not_say_that_it_is_anonymous_is_refused(name: str) -> None:
    document = with_user(name)
    del (document if name == "user" else document["user"])["is_anonymous"]
    with pytest.raises(AnonymityViolationError):
        READERS[name](reply(document))


@each_user_reader
@pytest.mark.parametrize(
    "changes",
    [{"id": "short"}, {"id": USER_ID + "\n"}, {"id": USER_ID.upper()}, {"sex": "x"}, {"year_of_birth": "1980"}],
    ids=str,
)
def test_a_user_that_cannot_be_read_is_refused(name: str, changes: dict[str, object]) -> None:
    with pytest.raises(ProtocolError, match=r"can't be read \(at \$"):
        READERS[name](reply(with_user(name, **changes)))


@pytest.mark.parametrize("name", ["session", "creation"])
def test_unknown_fields_elsewhere_are_ignored(name: str) -> None:
    test = {**TEST, "more": 1, "left": {**POINTS, "125": 3, "note": "x"}}
    document = {**with_user(name, latest_hearing_test=test), "name": "a server", "refresh_token": None}
    assert READERS[name](reply(document))


def test_another_subjects_reply_is_refused() -> None:
    other = {**USER, "id": "b" * 32}
    with pytest.raises(ProtocolError, match="about another user"):
        wire.read_user(reply(other), CURRENT)
    with pytest.raises(ProtocolError, match="about another user"):
        wire.read_session(reply({**SESSION, "user": other}), ID, user_id=USER_ID)
    assert wire.read_session(reply({**SESSION, "user": other}), ID).user.id == "b" * 32


@pytest.mark.parametrize(
    "changes",
    [
        {"access_token": ""},
        {"access_token": "a\r\nX-Other: 1"},
        {"access_token": "token\n"},
        {"access_token": "tökén"},
        {"access_token": "a" * 1025},
        {"access_token": None},
        {"expires_in": 0},
        {"expires_in": -1},
        {"expires_in": "900"},
        {"anonymous_id": "3f2a"},
        {"anonymous_id": None},
    ],
    ids=str,
)
def test_a_session_that_could_not_be_used_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ProtocolError, match="can't be read"):
        wire.read_creation(reply({**CREATION, **changes}))


@pytest.mark.parametrize("moment", ["2026-03-01T12:00:00", "yesterday", 0, None])
def test_a_time_without_a_zone_is_refused(moment: object) -> None:
    with pytest.raises(ProtocolError):
        wire.read_submission(reply({**TEST, "taken_at": moment}))


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
@pytest.mark.parametrize("name", ["session", "test", "tests"])
def test_a_time_outside_the_years_of_utc_is_refused(name: str, moment: str) -> None:
    test = {**TEST, "taken_at": moment}
    documents = {
        "session": with_user("session", latest_hearing_test=test),
        "test": {**test, "is_latest": True},
        "tests": {"tests": [test]},
    }
    with pytest.raises(ProtocolError, match="impossible time"):
        READERS[name](reply(documents[name]))


def assert_error_without_context(read: Callable[[], object]) -> None:
    """Check that it raises nothing, or an error of this library without cause and context."""
    raised = None
    try:
        read()
    except MimiError as error:
        raised = error
    if raised is not None:
        assert (raised.__cause__, raised.__context__) == (None, None)


@given(body=st.binary() | st.text().map(str.encode), status=st.integers(200, 599), problem=st.booleans())
@pytest.mark.parametrize("name", READERS)
def test_random_bytes_raise_errors_of_this_library_only(name: str, body: bytes, status: int, problem: bool) -> None:
    answer = reply(body, status, "application/problem+json" if problem else "application/json")
    assert_error_without_context(lambda: READERS[name](answer))


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*CREATION, *USER, *TEST]) | st.text(), inner),
    max_leaves=10,
)


@given(part=DOCUMENTS, key=st.sampled_from([*CREATION, *USER]))
@pytest.mark.parametrize("name", OF_USERS)
def test_a_random_field_raises_errors_of_this_library_only(name: str, part: object, key: str) -> None:
    document = with_user(name, **({key: part} if key in USER else {}))
    assert_error_without_context(lambda: READERS[name](reply({**document, key: part} if key in document else document)))


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"user":' * 10_000, b"\xff\xfe", b'"\xed\xa0\x80"', b"9" * 10_000, b"{}{}", b""]
)
@each_reader
def test_hostile_bodies_are_unreadable(read: Callable[[Reply], object], body: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(reply(body))


@pytest.mark.parametrize(
    "document",
    [
        {**CREATION, "expires_in": "hush"},
        {**CREATION, "user": {**USER, "sex": "hush"}},
        {**CREATION, "user": {**USER, "name": "hush"}},
        {**CREATION, "anonymous_id": "hush"},
        {**CREATION, "user": {**USER, "is_anonymous": False}, "access_token": "hush"},
        {**CREATION, "access_token": "hush\n"},
    ],
)
def test_no_error_holds_a_part_of_the_body(document: dict[str, object]) -> None:
    answer = reply(document)
    with pytest.raises(MimiError) as caught:
        wire.read_creation(answer)
    seen = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    own = [frame for frame in seen.stack if "/mimi_async/" in frame.filename]
    shown = repr([frame.locals for frame in own]) + repr(caught.value)
    assert own
    assert "hush" not in shown
    assert ID.reveal() not in shown
