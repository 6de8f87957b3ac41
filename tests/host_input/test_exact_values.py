"""Instances of subclasses of built-in types: their value is used, and none of their methods."""

import datetime as dt
from typing import Any

import pytest

from mimi_async import (
    AnonymousId,
    Audiogram,
    ClientCredentials,
    ConfigurationError,
    HearingTestResult,
    InvalidInputError,
    MimiCore,
)
from mimi_async.hearing.estimate import typical_for
from mimi_async.hearing.results import FREQUENCIES
from mimi_async.hearing.staircase import Limits
from mimi_async.identity import validate_sex, validate_year_of_birth
from mimi_async.secret import AccessToken, ClientSecret, CreateKey, Secret
from mimi_async.stores import MemoryStore, SealedStore, StoredIdentity

from .subclasses import (
    BytesSubclass,
    DateSubclass,
    DatetimeSubclass,
    FloatSubclass,
    Impostor,
    IntegerSubclass,
    Sex,
    TextSubclass,
    Year,
    class_of,
    is_exact,
)

TEXT = "3f2a0000-0000-4000-8000-00000000cafe"
LEVELS = dict.fromkeys(FREQUENCIES, 10.0)
NOON = dt.datetime(2026, 5, 2, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))


@pytest.mark.parametrize("kind", [AnonymousId, CreateKey, AccessToken, ClientSecret, Secret])
def test_a_secret_keeps_the_text_that_a_lying_one_holds(kind: type[Secret]) -> None:
    secret = kind(TextSubclass(TEXT.upper()))
    assert is_exact(secret.reveal(), str)
    assert secret.reveal().upper() == TEXT.upper()


@pytest.mark.parametrize("kind", [CreateKey, AccessToken, ClientSecret, Secret])
@pytest.mark.parametrize("value", [17, b"x", None, Impostor(str)], ids=class_of)
def test_a_secret_of_something_else_than_a_text_is_refused(kind: type[Secret], value: Any) -> None:
    with pytest.raises(InvalidInputError, match="takes a text"):
        kind(value)


@pytest.mark.parametrize("kind", [AnonymousId, CreateKey, AccessToken, ClientSecret])
def test_a_kind_of_secret_can_not_be_subclassed(kind: type[Secret]) -> None:
    with pytest.raises(TypeError, match=f"{kind.__name__} cannot be subclassed"):
        type("Theirs", (kind,), {})


def test_client_credentials_keep_exact_texts() -> None:
    credentials = ClientCredentials(TextSubclass("acme"), TextSubclass("hush"))
    assert (credentials.client_id, credentials.secret.reveal()) == ("acme", "hush")
    assert is_exact(credentials.client_id, str)
    for client_id, secret in (("a:b", "hush"), ("", "hush"), ("acme", ""), ("acme", "a\n"), ("acme", "\ud800")):
        with pytest.raises(ConfigurationError):
            ClientCredentials(TextSubclass(client_id), TextSubclass(secret))
        with pytest.raises(ConfigurationError):
            ClientCredentials(client_id, ClientSecret(secret))


@pytest.mark.parametrize("year", [IntegerSubclass(1980), Year.BORN], ids=class_of)
def test_a_year_of_birth_is_an_exact_integer(year: int) -> None:
    kept = validate_year_of_birth(year)
    assert is_exact(kept, int)
    assert kept == 1980


@pytest.mark.parametrize(
    "year", [IntegerSubclass(1800), IntegerSubclass(2026), True, Impostor(int), FloatSubclass(1980)], ids=class_of
)
def test_a_year_of_birth_that_lies_is_refused(year: Any) -> None:
    with pytest.raises(InvalidInputError, match="whole number"):
        validate_year_of_birth(year)


def test_a_sex_is_an_exact_text() -> None:
    assert [is_exact(validate_sex(sex), str) for sex in (TextSubclass("female"), Sex.FEMALE)] == [True, True]
    for sex in (TextSubclass("Female"), Impostor(str)):
        with pytest.raises(InvalidInputError, match="sex is one of"):
            validate_sex(sex)


def test_an_audiogram_keeps_exact_numbers_at_exact_frequencies() -> None:
    class Hertz(int):
        """Hash and == of a subclass are those of `int`, or it would not be a key of the mapping."""

    points: dict[int, float] = {Hertz(hz): FloatSubclass(hz / 100) for hz in FREQUENCIES}
    assert Audiogram(points).levels == tuple(hz / 100 for hz in FREQUENCIES)
    assert all(is_exact(level, float) for level in Audiogram(points).levels)


@pytest.mark.parametrize(
    "level", [FloatSubclass(121), IntegerSubclass(-11), Impostor(float), True, FloatSubclass("nan")], ids=class_of
)
def test_a_threshold_that_lies_is_refused(level: Any) -> None:
    with pytest.raises(InvalidInputError, match="a threshold is a number"):
        Audiogram({**LEVELS, 1000: level})


@pytest.mark.parametrize("frequency", [IntegerSubclass(251), "250", FloatSubclass(250.5)], ids=class_of)
def test_a_frequency_that_lies_is_refused(frequency: Any) -> None:
    points = dict.fromkeys(FREQUENCIES[1:], 10.0)
    with pytest.raises(InvalidInputError, match="needs a threshold at each of"):
        Audiogram({frequency: 10.0, **points})


def test_an_audiogram_is_read_once_from_a_mapping() -> None:
    class Changing(dict[int, float]):
        def __getitem__(self, key: int) -> float:
            return 999.0

    assert Audiogram(Changing(LEVELS)).levels == (10.0,) * len(FREQUENCIES)


def test_a_subclass_of_an_audiogram_is_checked_as_a_mapping_is() -> None:
    class Theirs(Audiogram):
        def __iter__(self) -> Any:
            return iter([(hz, 999.0) for hz in FREQUENCIES])

    with pytest.raises(InvalidInputError, match="a threshold is a number"):
        HearingTestResult(taken_at=NOON, calibrated=False, left=Theirs(LEVELS), right=LEVELS)


def test_the_time_of_a_test_is_an_exact_moment_in_utc() -> None:
    for moment in (NOON, DatetimeSubclass(2026, 5, 2, 12, tzinfo=NOON.tzinfo)):
        result = HearingTestResult(taken_at=moment, calibrated=False, left=LEVELS, right=LEVELS)
        assert is_exact(result.taken_at, dt.datetime)
        assert result.taken_at.isoformat() == "2026-05-02T10:00:00+00:00"


class BrokenZone(dt.tzinfo):
    def utcoffset(self, _: dt.datetime | None) -> Any:
        return "a lie"

    dst = tzname = utcoffset


@pytest.mark.parametrize(
    "moment",
    [
        DatetimeSubclass(2026, 5, 2, 12),
        DateSubclass(2026, 5, 2),
        Impostor(dt.datetime),
        dt.datetime(2026, 5, 2, 12, tzinfo=BrokenZone()),
        "2026-05-02T12:00:00Z",
    ],
    ids=class_of,
)
def test_a_moment_without_a_time_zone_is_refused_whatever_its_class_says(moment: Any) -> None:
    with pytest.raises(InvalidInputError, match="taken_at must be a datetime with a time zone"):
        HearingTestResult(taken_at=moment, calibrated=False, left=LEVELS, right=LEVELS)


@pytest.mark.parametrize("value", [1, "yes", Impostor(bool), None], ids=class_of)
def test_calibrated_is_true_or_false_and_nothing_else(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="calibrated must be True or False"):
        HearingTestResult(taken_at=NOON, calibrated=value, left=LEVELS, right=LEVELS)


def test_the_limits_of_a_test_and_an_estimate_are_exact() -> None:
    assert is_exact(Limits(highest=FloatSubclass(60)).highest, float)
    limits: list[Any] = [FloatSubclass(61), Impostor(float)]
    for limit in limits:
        with pytest.raises(InvalidInputError, match="a limit is"):
            Limits(highest=limit)
    assert typical_for(IntegerSubclass(60), TextSubclass("male")) == typical_for(60, "male")
    assert is_exact(typical_for(IntegerSubclass(60), TextSubclass("male")).age, int)
    refused: list[Any] = [(IntegerSubclass(17), None), (Impostor(int), None), (60, TextSubclass("man"))]
    for age, sex in refused:
        with pytest.raises(InvalidInputError):
            typical_for(age, sex)


def test_a_record_of_a_partners_store_is_made_of_exact_values() -> None:
    record = StoredIdentity.read(
        TextSubclass("active"),
        TextSubclass(TEXT),
        TextSubclass("a" * 32),
        BytesSubclass(b"r" * 16),
        FloatSubclass(1000.5),
    )
    assert record == StoredIdentity.read("active", TEXT, "a" * 32, b"r" * 16, 1000.5)
    values = (record.state, record.secret.reveal(), record.user_id, record.revision, record.changed_at)
    assert [type(value) for value in values] == [str, str, str, bytes, float]


@pytest.mark.parametrize(
    "values",
    [
        (TextSubclass("gone"), TEXT, None, b"r" * 16, 1.0),
        ("active", TEXT, TextSubclass("x"), b"r" * 16, 1.0),
        ("active", TEXT, None, BytesSubclass(b"r"), 1.0),
        ("active", TEXT, None, b"r" * 16, FloatSubclass("nan")),
        ("active", Impostor(str), None, b"r" * 16, 1.0),
        (Impostor(str), TEXT, None, b"r" * 16, 1.0),
    ],
    ids=["state", "user_id", "revision", "changed_at", "a secret that pretends", "a state that pretends"],
)
def test_a_record_whose_values_lie_is_refused(values: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidInputError, match="the record of an identity is not valid"):
        StoredIdentity.read(*values)


def test_the_key_of_a_sealed_store_is_an_exact_text() -> None:
    from cryptography.fernet import Fernet

    key = Fernet.generate_key()
    SealedStore(MemoryStore(), [TextSubclass(key.decode()), BytesSubclass(key)])
    with pytest.raises(ConfigurationError, match="needs a list of Fernet keys"):
        SealedStore(MemoryStore(), [TextSubclass("short")])


def test_the_address_of_a_server_is_an_exact_text() -> None:
    credentials = ClientCredentials("acme", "hush")
    MimiCore(credentials, server=TextSubclass("https://identity.example"), store=MemoryStore())
    for server in (
        TextSubclass("http://identity.example"),
        TextSubclass("https://identity.example/?a=b"),
        Impostor(str),
    ):
        with pytest.raises(ConfigurationError):
            MimiCore(credentials, server=server, store=MemoryStore())  # type: ignore[arg-type]  # on purpose
