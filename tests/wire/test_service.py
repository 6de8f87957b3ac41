"""The server's side of the contract: what it reads is checked, and what it writes the client reads."""

import datetime as dt
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimi_async import wire
from mimi_async.errors import ProtocolError
from mimi_async.hearing.results import FREQUENCIES, Audiogram, HearingTestResult
from mimi_async.identity import MimiUser, Sex, this_year
from mimi_async.secret import AccessToken, AnonymousId, CreateKey
from mimi_async.wire import Reply, server_side
from mimi_async.wire.server_side import Profile, RefusedBodyError

from .bodies import CURRENT, ID, TEST, TOKEN, USER_ID

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
READERS: dict[str, Callable[[bytes], object]] = {
    "create": server_side.read_create_user,
    "log in": server_side.read_log_in,
    "patch": server_side.read_patch,
    "test": lambda body: server_side.read_new_test(body, NOW),
}
NEW_TEST = {name: value for name, value in TEST.items() if name != "id"}

EARS = st.tuples(*[st.floats(-10, 120)] * 6).map(lambda levels: Audiogram(dict(zip(FREQUENCIES, levels, strict=True))))
MOMENTS = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2900, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001
LATEST = dt.datetime.max.replace(tzinfo=dt.UTC)
RESULTS = st.builds(HearingTestResult, taken_at=MOMENTS, calibrated=st.booleans(), left=EARS, right=EARS)
KEPT = st.builds(
    HearingTestResult, taken_at=MOMENTS, calibrated=st.booleans(), left=EARS, right=EARS, id=st.just("test-1")
)
SEXES: st.SearchStrategy[Sex | None] = st.sampled_from(["female", "male", "intersex", None])
PROFILES = st.builds(
    Profile,
    id=st.just(USER_ID),
    year_of_birth=st.none() | st.integers(1900, 2000),
    sex=SEXES,
    latest_hearing_test=st.none() | KEPT,
)


def refused(read: Callable[[bytes], object], body: object) -> RefusedBodyError:
    with pytest.raises(RefusedBodyError) as caught:
        read(body if isinstance(body, bytes) else json.dumps(body).encode())
    return caught.value


def test_reads_what_the_client_says() -> None:
    assert server_side.read_log_in(wire.log_in(ID).body or b"") == ID
    server_side.read_create_user(wire.create_user(CreateKey.generate()).body or b"")


@given(st.fixed_dictionaries({}, optional={"year_of_birth": st.none() | st.integers(1900, 2000), "sex": SEXES}))
def test_reads_the_changes_that_were_made_and_no_others(changes: dict[str, object]) -> None:
    assert server_side.read_patch(wire.patch_user(changes, TOKEN).body or b"") == changes


@given(RESULTS)
def test_reads_a_hearing_test_as_it_was_submitted(result: HearingTestResult) -> None:
    assert server_side.read_new_test(wire.submit_test(result, CreateKey("k"), TOKEN).body or b"", LATEST) == result


@given(PROFILES)
def test_the_client_reads_the_session_that_was_written(profile: Profile) -> None:
    session = wire.read_session(Reply(200, server_side.write_session(profile, TOKEN, 900.0)), ID, user_id=USER_ID)
    assert session.user == user_of(profile)
    assert (session.token, session.expires_in) == (TOKEN, 900.0)


@given(PROFILES)
def test_the_client_reads_the_creation_that_was_written(profile: Profile) -> None:
    other = AnonymousId("00000000-0000-4000-8000-000000000001")
    session = wire.read_creation(Reply(201, server_side.write_creation(profile, TOKEN, 900.0, other)))
    assert session.user == user_of(profile, other)


@given(PROFILES)
def test_the_client_reads_the_user_that_was_written(profile: Profile) -> None:
    assert wire.read_user(Reply(200, server_side.write_user(profile)), CURRENT) == user_of(profile)


@given(st.lists(KEPT, max_size=3), st.none() | st.text(max_size=20))
def test_the_client_reads_the_page_that_was_written(results: list[HearingTestResult], cursor: str | None) -> None:
    assert wire.read_tests(Reply(200, server_side.write_tests(results, cursor))) == (results, cursor)


@given(KEPT)
def test_the_client_reads_the_test_that_was_written(result: HearingTestResult) -> None:
    for is_latest in (True, False):
        written = server_side.write_submission(result, is_latest=is_latest)
        assert wire.read_submission(Reply(201, written)) == (result, is_latest)


@given(PROFILES, PROFILES)
def test_the_version_of_a_user_is_a_strong_entity_tag_of_what_is_written(one: Profile, other: Profile) -> None:
    versions = [server_side.compute_version(server_side.write_user(profile)) for profile in (one, other)]
    assert (versions[0] == versions[1]) == (one == other)
    assert wire.read_version(Reply(200, etag=versions[0])) == versions[0]


@given(PROFILES, st.lists(KEPT, max_size=2))
def test_an_export_holds_all_and_no_id_that_opens_it(profile: Profile, results: list[HearingTestResult]) -> None:
    created = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    document = json.loads(server_side.write_export(profile, created, [(result, created) for result in results]))
    assert document.keys() == {"user", "created_at", "hearing_tests"}
    assert document["user"]["year_of_birth"] == profile.year_of_birth
    assert [test["id"] for test in document["hearing_tests"]] == ["test-1"] * len(results)
    assert document["created_at"] == "2026-01-01T00:00:00Z"
    assert {test["received_at"] for test in document["hearing_tests"]} <= {"2026-01-01T00:00:00Z"}


@pytest.mark.parametrize("name", wire.contract.PROBLEMS)
def test_the_client_reads_the_problem_that_was_written(name: str) -> None:
    status, title = wire.contract.PROBLEMS[name]
    body = server_side.write_problem(status, title, name=name, detail="d", request_id="request-1")
    failure = wire.read_error(Reply(status, body, wire.PROBLEM_JSON))
    assert failure is not None
    assert type(failure) is not ProtocolError
    assert json.loads(body) == {
        "type": f"urn:mimi-async:{name}",
        "title": title,
        "status": status,
        "detail": "d",
        "request_id": "request-1",
    }


def test_a_problem_that_is_not_ours_has_no_type() -> None:
    assert json.loads(server_side.write_problem(405, "No", request_id="r"))["type"] == "about:blank"


UNEXPECTED: dict[str, list[object]] = {
    "create": [{"name": "Ada"}, {"anonymous_id": ID.reveal()}, [], None, "x"],
    "log in": [{}, {"anonymous_id": "3f2a"}, {"anonymous_id": ID.reveal(), "email": 1}],
    "patch": [
        {"email": "a@b"},
        {"sex": "x"},
        {"year_of_birth": "1980"},
        {"year_of_birth": 1899},
        {"is_anonymous": False},
    ],
}


@pytest.mark.parametrize(("name", "body"), [(name, body) for name in UNEXPECTED for body in UNEXPECTED[name]], ids=str)
def test_a_body_has_the_fields_of_its_request_and_no_others(name: str, body: object) -> None:
    assert refused(READERS[name], body).status == 422


def test_a_patch_is_about_an_adult() -> None:
    latest = this_year() - 18
    assert server_side.read_patch(f'{{"year_of_birth": {latest}}}'.encode()) == {"year_of_birth": latest}
    assert "18 or older" in refused(server_side.read_patch, {"year_of_birth": latest + 1}).detail


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "mine"},
        {"calibrated": 1},
        {"taken_at": "2026-03-01T12:00:00"},
        {"taken_at": "0001-01-01T00:00:00+14:00"},
        {"left": {"250": 1}},
        {"left": {**dict.fromkeys(map(str, FREQUENCIES), 1), "125": 1}},
        {"right": dict.fromkeys(map(str, FREQUENCIES), 121)},
    ],
    ids=str,
)
def test_a_hearing_test_is_whole_and_in_range(changes: dict[str, object]) -> None:
    assert refused(READERS["test"], {**NEW_TEST, **changes}).status == 422


@pytest.mark.parametrize("ahead", [dt.timedelta(days=1, microseconds=1), dt.timedelta(days=4000)])
def test_a_hearing_test_more_than_a_day_ahead_of_the_server_is_refused(ahead: dt.timedelta) -> None:
    refusal = refused(READERS["test"], {**NEW_TEST, "taken_at": (NOW + ahead).isoformat()})
    assert (refusal.status, "more than a day ahead" in refusal.detail) == (422, True)


@pytest.mark.parametrize("ahead", [dt.timedelta(days=1), dt.timedelta(0), dt.timedelta(days=-20000)])
def test_a_hearing_test_up_to_a_day_ahead_of_the_server_is_read(ahead: dt.timedelta) -> None:
    body = json.dumps({**NEW_TEST, "taken_at": (NOW + ahead).isoformat()}).encode()
    assert server_side.read_new_test(body, NOW).taken_at == NOW + ahead


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"nonsense", b"\xef\xbb\xbf{}"])
def test_a_body_that_is_not_json_is_a_400(read: Callable[[bytes], object], body: bytes) -> None:
    assert refused(read, body).status == 400


@given(st.binary() | st.text().map(str.encode))
@pytest.mark.parametrize("name", READERS)
def test_whatever_the_bytes_are_they_are_read_or_refused(name: str, body: bytes) -> None:
    refusal = None
    try:
        READERS[name](body)
    except RefusedBodyError as error:
        refusal = error
    if refusal is not None:
        assert refusal.status in (400, 422)
        assert (refusal.__cause__, refusal.__context__) == (None, None)


def test_a_refusal_quotes_nothing() -> None:
    for read, body in ((server_side.read_log_in, {"anonymous_id": "hush"}), (server_side.read_patch, {"hush": 1})):
        assert "hush" not in repr(refused(read, body))


def test_what_the_server_holds_shows_no_health_data() -> None:
    assert repr(Profile(id=USER_ID, year_of_birth=1980, sex="male")) == f"Profile(id='{USER_ID}')"


def test_a_token_of_the_server_can_be_sent() -> None:
    token = AccessToken("abc-_~+/09==")
    written = server_side.write_session(Profile(id=USER_ID), token, 1)
    assert wire.read_session(Reply(200, written), ID).token == token


def user_of(profile: Profile, anonymous_id: AnonymousId = ID) -> MimiUser:
    return MimiUser(
        id=profile.id,
        anonymous_id=anonymous_id,
        year_of_birth=profile.year_of_birth,
        sex=profile.sex,
        latest_hearing_test=profile.latest_hearing_test,
    )
