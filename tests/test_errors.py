"""The tree of errors: drawn as it is; errors are copied, and pickled for another process."""

import asyncio
import copy
import pickle
import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from mimi_async import errors
from mimi_async.errors import MimiError, ServerBusyError, ServerTimeoutError, StartupError, StoreCorruptError
from mimi_async.wire import TokenRejectedError


def kinds(root: type[MimiError] = MimiError) -> list[type[MimiError]]:
    """Every error, each before its children."""
    return [root, *(kind for child in root.__subclasses__() for kind in kinds(child))]


PUBLIC = [kind for kind in kinds() if kind.__module__ == errors.__name__]
FACTS: dict[type[MimiError], dict[str, Any]] = {
    ServerBusyError: {"retry_after": 7.5},
    StoreCorruptError: {"revision": b"r"},
    StartupError: {"phase": "store"},
}
RETRYABLE = {
    "ServerUnreachableError",
    "ServerTimeoutError",
    "ServerBusyError",
    "InsecureServerError",
    "ProtocolError",
    "StoreUnavailableError",
    "StoreConflictError",
    "NotRestoredError",
    "OnlyCopyError",
}

each_kind = pytest.mark.parametrize("kind", [*PUBLIC, TokenRejectedError], ids=lambda kind: kind.__name__)


def make(kind: type[MimiError]) -> MimiError:
    """Make an error with all the facts that it can hold."""
    error = kind("what happened; what to do", **FACTS.get(kind, {}))
    error.request_id = "request-1"
    error.__cause__ = LookupError("why")
    return error


def test_the_tree_is_drawn_as_it_is() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"^    ([│├└─ ]*)(\w+Error)\b", line):
            depth = len(found[1]) // 4
            path[depth:] = [found[2]]
            drawn[found[2]] = path[depth - 1] if depth else "Exception"
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in PUBLIC}


def test_only_what_may_succeed_unchanged_is_retryable() -> None:
    assert {kind.__name__ for kind in PUBLIC if kind.retryable} == RETRYABLE


def test_errors_are_also_what_python_programs_expect() -> None:
    assert issubclass(errors.InvalidAnonymousIdError, ValueError)
    assert issubclass(ServerTimeoutError, TimeoutError)
    assert issubclass(ServerTimeoutError, asyncio.TimeoutError)


@each_kind
def test_says_its_message_and_nothing_else(kind: type[MimiError]) -> None:
    assert str(make(kind)) == "what happened; what to do"


@each_kind
def test_is_copied_as_another_exception_with_the_same_facts(kind: type[MimiError]) -> None:
    error = make(kind)
    try:
        raise error
    except MimiError:
        copied = error.copy()
    assert copied is not error
    assert (type(copied), copied.args, copied.__dict__) == (kind, error.args, error.__dict__)
    assert copied.__cause__ is error.__cause__
    assert copied.__traceback__ is None
    assert str(copied) == str(error)


def test_a_fact_of_one_copy_is_its_own() -> None:
    error = ServerBusyError("busy", retry_after=1)
    copied = error.copy()
    copied.retry_after = 2
    assert error.retry_after == 1


def send_to_another_process(error: MimiError) -> MimiError:
    arrived: MimiError = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    return arrived


@each_kind
@pytest.mark.parametrize("carry", [copy.copy, copy.deepcopy, send_to_another_process])
def test_travels_with_its_facts(kind: type[MimiError], carry: Callable[[MimiError], MimiError]) -> None:
    error = make(kind)
    arrived = carry(error)
    assert (type(arrived), arrived.args, arrived.__dict__) == (kind, error.args, error.__dict__)


def test_the_request_id_is_a_fact_and_no_part_of_the_text() -> None:
    error = ServerTimeoutError("too late", request_id="request-1")
    assert error.request_id == "request-1"
    assert traceback.format_exception_only(error) == ["mimi_async.errors.ServerTimeoutError: too late\n"]
