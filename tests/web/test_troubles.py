"""What is said of each error: every one has its words, and none shows the text of the error."""

import pytest

import mimi_async
from mimi_async import (
    ConfigurationError,
    ErasedAnonymousIdError,
    ForciblyLoggedOutError,
    InvalidInputError,
    MimiError,
    NotAuthenticatedError,
    NotStartedError,
    ServerBusyError,
    ServerUnreachableError,
    StartupError,
    StoreCorruptError,
    StoreUnavailableError,
    UnknownAnonymousIdError,
    UnserviceableError,
    ViewsClosedError,
)
from mimi_async.web import troubles
from mimi_async.web.language import LANGUAGES, read_texts
from mimi_async.web.troubles import Trouble, trouble_of

ERRORS = [
    kind for kind in map(mimi_async.__dict__.get, mimi_async.__all__)
    if isinstance(kind, type) and issubclass(kind, MimiError)
]  # fmt: skip


def closed_by(cause: MimiError) -> ViewsClosedError:
    error = ViewsClosedError("no view may run")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_has_its_words_in_every_language(kind: type[MimiError]) -> None:
    error = StartupError("a text", phase="store") if kind is StartupError else kind("a text")
    trouble = trouble_of(error)
    for language in LANGUAGES:
        assert {f"trouble.{trouble.name}.title", f"trouble.{trouble.name}.detail"} <= read_texts(language).keys()


def test_every_trouble_has_its_words() -> None:
    found = [each for each in vars(troubles).values() if isinstance(each, Trouble)]
    assert len(found) >= 10
    for trouble in found:
        assert {f"trouble.{trouble.name}.title", f"trouble.{trouble.name}.detail"} <= read_texts("en").keys()


@pytest.mark.parametrize(
    ("error", "status", "way"),
    [
        (ServerUnreachableError("x"), 503, "retry"),
        (StoreUnavailableError("x"), 503, "retry"),
        (NotStartedError("x"), 503, "retry"),
        (UnknownAnonymousIdError("x"), 409, "start-over"),
        (ForciblyLoggedOutError("x"), 409, "start-over"),
        (StoreCorruptError("x"), 409, "start-over"),
        (ErasedAnonymousIdError("x"), 410, "anew"),
        (NotAuthenticatedError("x"), 409, "anew"),
        (InvalidInputError("x"), 422, "anew"),
        (UnserviceableError("x"), 503, "leave"),
        (ConfigurationError("x"), 500, "leave"),
    ],
)
def test_an_error_says_what_can_be_done_also_as_the_cause_of_a_shut_gate(
    error: MimiError, status: int, way: str
) -> None:
    for told in (error, closed_by(error)):
        trouble = trouble_of(told)
        assert (trouble.status, trouble.way) == (status, way)


@pytest.mark.parametrize(("named", "said"), [(None, 5), (0.0, 1), (1.2, 2), (9e9, 120)])
def test_a_busy_server_names_the_time_of_the_next_try_within_reason(named: float | None, said: int) -> None:
    assert trouble_of(ServerBusyError("x", retry_after=named)).retry_after == said
