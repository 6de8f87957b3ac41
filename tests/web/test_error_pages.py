"""The error pages: each error has texts in each language, and no page shows the text of the error."""

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
from mimi_async.web import error_pages
from mimi_async.web.error_pages import ErrorPage, error_page_for
from mimi_async.web.i18n import LANGUAGES, read_texts

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
    page = error_page_for(error)
    for language in LANGUAGES:
        assert {f"error.{page.name}.title", f"error.{page.name}.detail"} <= read_texts(language).keys()


def test_every_error_page_has_its_words() -> None:
    pages = [each for each in vars(error_pages).values() if isinstance(each, ErrorPage)]
    assert len(pages) >= 10
    for page in pages:
        assert {f"error.{page.name}.title", f"error.{page.name}.detail"} <= read_texts("en").keys()


@pytest.mark.parametrize(
    ("error", "status", "next_step"),
    [
        (ServerUnreachableError("x"), 503, "retry"),
        (StoreUnavailableError("x"), 503, "retry"),
        (NotStartedError("x"), 503, "retry"),
        (UnknownAnonymousIdError("x"), 409, "start-over"),
        (ForciblyLoggedOutError("x"), 409, "start-over"),
        (StoreCorruptError("x"), 409, "start-over"),
        (ErasedAnonymousIdError("x"), 410, "restart"),
        (NotAuthenticatedError("x"), 409, "restart"),
        (InvalidInputError("x"), 422, "restart"),
        (UnserviceableError("x"), 503, "leave"),
        (ConfigurationError("x"), 500, "leave"),
    ],
)
def test_an_error_names_the_next_step_also_as_the_cause_of_a_shut_gate(
    error: MimiError, status: int, next_step: str
) -> None:
    for raised in (error, closed_by(error)):
        page = error_page_for(raised)
        assert (page.status, page.next_step) == (status, next_step)


@pytest.mark.parametrize(("named", "said"), [(None, 5), (0.0, 1), (1.2, 2), (9e9, 120)])
def test_a_busy_server_names_the_time_of_the_next_try_within_reason(named: float | None, said: int) -> None:
    assert error_page_for(ServerBusyError("x", retry_after=named)).retry_after == said
