"""Secrets are neither shown nor stored by mistake, and accounts and profile data are validated."""

import base64
import copy
import datetime as dt
import json
import logging
import pickle
import traceback
import unicodedata
import uuid
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimi_async import identity
from mimi_async.errors import ConfigurationError, InvalidAnonymousIdError, InvalidInputError
from mimi_async.hearing.results import FREQUENCIES, HearingTestResult
from mimi_async.identity import ClientCredentials, MimiUser, validate_account, validate_sex, validate_year_of_birth
from mimi_async.secret import AccessToken, AnonymousId, ClientSecret, CreateKey, Secret

TEXT = "3f2a0000-0000-4000-8000-00000000cafe"
SECRETS = [AnonymousId(TEXT), CreateKey(TEXT), AccessToken(TEXT), ClientSecret(TEXT)]
IDS = st.from_regex(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", fullmatch=True, alphabet=st.characters())

secrets = pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: type(secret).__name__)

SHOWING: list[Callable[[Secret], object]] = [
    str,
    "{}".format,
    "{:>40}".format,
    lambda secret: f"{secret}",
    lambda secret: "%s" % secret,  # noqa: UP031 - what a host might write
    lambda secret: ",".join([str(secret)]),
    json.dumps,
    lambda secret: json.dumps([secret], default=str),
    pickle.dumps,
    lambda secret: pickle.dumps({"id": secret}, protocol=0),
    lambda secret: bytes(secret),  # type: ignore[call-overload]
    lambda secret: secret + "",  # type: ignore[operator]
]


@secrets
@pytest.mark.parametrize("show", SHOWING)
def test_a_secret_can_not_be_shown_or_saved_by_mistake(secret: Secret, show: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError) as caught:
        show(secret)
    assert TEXT not in str(caught.value)


def test_the_refusal_says_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"call \.reveal\(\) to store it, \.masked to show it"):
        str(AnonymousId(TEXT))


@secrets
def test_a_secret_is_masked_where_it_is_shown_anyway(
    secret: Secret, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    holder = attrs.make_class("Holder", ["secret"])(secret)
    shown = [repr(secret), repr([secret]), repr(holder), secret.masked, repr(attrs.asdict(holder))]
    try:
        str(secret)
    except TypeError as error:
        shown.extend(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    logging.getLogger(__name__).warning("%r", secret)
    assert TEXT not in "".join((*shown, caplog.text, *capsys.readouterr()))


def test_two_ids_are_distinguishable_in_a_log() -> None:
    assert repr(AnonymousId(TEXT)) == "AnonymousId(3f2a…)"
    assert repr(CreateKey("hush")) == "CreateKey(…)"


@secrets
def test_a_secret_is_revealed_on_purpose(secret: Secret) -> None:
    assert secret.reveal() == TEXT


@secrets
def test_a_copy_of_a_secret_is_itself(secret: Secret) -> None:
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


@secrets
def test_a_secret_never_changes(secret: Secret) -> None:
    for name in ("_text", "note"):
        with pytest.raises(AttributeError):
            setattr(secret, name, "other")
        with pytest.raises(AttributeError):
            delattr(secret, name)


def test_secrets_are_equal_by_kind_and_text() -> None:
    assert AnonymousId(TEXT) == AnonymousId(TEXT.upper())
    assert hash(AnonymousId(TEXT)) == hash(AnonymousId(TEXT.upper()))
    assert len(set(SECRETS)) == len(SECRETS)
    assert AccessToken("a") != AccessToken("b")
    assert AccessToken("ä") == AccessToken("ä")
    assert AccessToken("a") != 1


@pytest.mark.parametrize("other", [TEXT, "", TEXT.encode(), uuid.UUID(TEXT)], ids=repr)
def test_an_id_that_is_compared_with_a_text_warns_since_it_is_never_equal(other: Any) -> None:
    known = AnonymousId(TEXT)
    texts = [other]
    for compare in (lambda: known == other, lambda: other == known, lambda: known in texts):
        with pytest.warns(UserWarning, match=r"compare with AnonymousId\(text\)") as warned:
            assert compare() is False
        assert "cafe" not in str(warned[0].message)
        assert warned[0].filename == __file__
    assert known not in {other: 1}, "a lookup by hash compares nothing"
    assert known == AnonymousId(TEXT)
    assert known != 17


@given(IDS)
def test_any_id_of_the_right_shape_is_lower_cased(text: str) -> None:
    assert AnonymousId(text).reveal() == text.lower()


@given(
    st.text()
    | st.sampled_from(
        [f"{TEXT}\n", f" {TEXT}", TEXT[:-1], f"{{{TEXT}}}", TEXT.replace("-", "_"), "٣" + TEXT[1:], "ｆ" + TEXT[1:], ""]
    )
)
def test_an_id_of_another_shape_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(InvalidAnonymousIdError, match="36 characters, hex digits in 8-4-4-4-12") as caught:
        AnonymousId(text)
    assert f"this is {len(text)} characters of another form" in str(caught.value)


@pytest.mark.parametrize("value", [None, 7, b"3f2a", AnonymousId(TEXT)])
def test_an_id_is_made_of_a_text(value: object) -> None:
    with pytest.raises(InvalidAnonymousIdError, match=f"this is a {type(value).__name__} of another form"):
        AnonymousId(value)  # type: ignore[arg-type]


def test_create_keys_have_256_random_bits() -> None:
    keys = {CreateKey.generate().reveal() for _ in range(100)}
    assert len(keys) == 100
    assert {len(bytes.fromhex(key)) for key in keys} == {32}


def test_credentials_show_no_secret() -> None:
    credentials = ClientCredentials("acme-player", "hush")
    assert repr(credentials) == "ClientCredentials(client_id='acme-player', secret=ClientSecret(…))"
    assert credentials == ClientCredentials("acme-player", ClientSecret("hush"))


@pytest.mark.parametrize("client_id", ["", "a:b", "a\n", "a\nb", "a\x00", None, 7])
def test_a_client_id_that_basic_can_not_carry_is_refused(client_id: str) -> None:
    with pytest.raises(ConfigurationError, match="without a colon"):
        ClientCredentials(client_id, "hush")


@pytest.mark.parametrize("secret", ["", "hush\r\n", "hush\ud800", None, b"hush", 7])
def test_a_client_secret_that_can_not_be_sent_is_refused_without_being_quoted(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="`mimi-async clients add`") as caught:
        ClientCredentials("acme-player", secret)
    assert "hush" not in str(caught.value)


def test_credentials_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIMI_CLIENT_ID", "acme-player")
    monkeypatch.delenv("MIMI_CLIENT_SECRET", raising=False)
    with pytest.raises(ConfigurationError, match="set MIMI_CLIENT_SECRET"):
        ClientCredentials.from_env()
    monkeypatch.setenv("MIMI_CLIENT_SECRET", "")
    with pytest.raises(ConfigurationError, match="set MIMI_CLIENT_SECRET"):
        ClientCredentials.from_env()
    monkeypatch.setenv("MIMI_CLIENT_SECRET", base64.b64encode(b"hush").decode())
    assert ClientCredentials.from_env().secret.reveal() == "aHVzaA=="


def user(**facts: object) -> MimiUser:
    return MimiUser(id="a" * 32, anonymous_id=AnonymousId(TEXT), **facts)  # type: ignore[arg-type]


def test_a_user_is_always_anonymous() -> None:
    assert user().is_anonymous is True
    with pytest.raises(AttributeError):
        user().is_anonymous = False  # type: ignore[misc,assignment]
    assert {field.name for field in attrs.fields(MimiUser)} == {
        "id",
        "anonymous_id",
        "year_of_birth",
        "sex",
        "latest_hearing_test",
    }


def test_a_year_of_birth_or_a_hearing_test_makes_a_user_onboarded() -> None:
    ear = dict.fromkeys(FREQUENCIES, 10)
    test = HearingTestResult(taken_at=dt.datetime.now(dt.UTC), calibrated=False, left=ear, right=ear)
    assert not user().is_onboarded
    assert not user(sex="female").is_onboarded
    assert user(year_of_birth=1980).is_onboarded
    assert user(latest_hearing_test=test).is_onboarded


def test_the_repr_of_a_user_holds_no_health_data() -> None:
    shown = repr(user(year_of_birth=1980, sex="intersex"))
    assert shown == f"MimiUser(id='{'a' * 32}', anonymous_id=AnonymousId(3f2a…))"


def test_an_age_is_full_years_at_the_end_of_this_year(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "this_year", lambda: 2030)
    assert user(year_of_birth=1980).age == 50
    assert user().age is None


@given(st.integers() | st.none() | st.booleans() | st.floats() | st.text())
def test_a_year_of_birth_is_one_of_an_adult(year: object) -> None:
    latest = identity.this_year() - 18
    fits = year is None or (type(year) is int and 1900 <= year <= latest)
    if fits:
        assert validate_year_of_birth(year) == year
    else:
        with pytest.raises(InvalidInputError, match=f"from 1900 to {latest}: users are 18 or older"):
            validate_year_of_birth(year)


def test_the_limits_of_a_year_of_birth_move_with_the_year(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "this_year", lambda: 2030)
    assert [validate_year_of_birth(year) for year in (1900, 2012)] == [1900, 2012]
    for year in (1899, 2013):
        with pytest.raises(InvalidInputError):
            validate_year_of_birth(year)


@pytest.mark.parametrize("sex", ["", "Female", "other", 1, ["female"]])
def test_a_sex_is_one_that_the_server_keeps(sex: object) -> None:
    with pytest.raises(InvalidInputError, match="female, male, intersex, or None"):
        validate_sex(sex)
    assert [validate_sex(kept) for kept in ("female", "male", "intersex", None)][3] is None


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=200))
def test_an_account_is_any_text_of_up_to_200_characters_in_nfc(text: str) -> None:
    account = unicodedata.normalize("NFC", text)[:200]
    if unicodedata.is_normalized("NFC", account):
        assert validate_account(account) == account
    if text != unicodedata.normalize("NFC", text):
        with pytest.raises(InvalidInputError, match="NFC"):
            validate_account(text)


@pytest.mark.parametrize("account", ["", "a" * 201, "a\x00", "a\nb", "\x7f", "\x85", "a\ud800", None, 7, b"a"])
def test_an_account_that_could_not_be_kept_is_refused(account: object) -> None:
    with pytest.raises(InvalidInputError, match="1 to 200 characters"):
        validate_account(account)
