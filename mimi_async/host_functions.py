"""Validation of functions that the host gives, and their names for messages."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import ConfigurationError

PROGRAMMING_ERRORS = (AssertionError, AttributeError, ImportError, NameError, NotImplementedError, TypeError)
"""Exceptions by a defect in the code of a host function: the same call will fail again."""


def validate_function(function: object, what: str, *arguments: object, **keywords: object) -> None:
    """Refuse an object that can't be called with these arguments, a class, and a generator function.

    Whether a plain function returns an awaitable is known after a call only.

    Args:
        function: The object that the host gives.
        what: The expected function, for the message: "known_id is `async def known_id(account)`".
        arguments: The positional arguments of later calls.
        keywords: The keyword arguments of later calls.

    Raises:
        ConfigurationError: It is refused; the message names it, its file and its line.
    """
    if not callable(function) or isinstance(function, type):
        raise not_a_function(function, what)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        msg = f"{what}; {place_of(function)} is a generator: it must not yield"
        raise ConfigurationError(msg)
    mismatch = _mismatch_of(function, arguments, keywords)
    if mismatch is not None:
        msg = f"{what}; {place_of(function)} can't be called so: {mismatch}"
        raise ConfigurationError(msg)


def _mismatch_of(
    function: Callable[..., Any], arguments: tuple[object, ...], keywords: dict[str, object]
) -> str | None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C have none
        return None
    try:
        signature.bind(*arguments, **keywords)
    except TypeError as error:  # its text names parameters, and no value
        return str(error)
    return None


def not_a_function(given: object, what: str) -> ConfigurationError:
    """Return the error for a class, or for an object that can't be called; its value is not quoted."""
    kind = f"the class {given.__qualname__}" if isinstance(given, type) else f"a {type(given).__name__}"
    return ConfigurationError(f"{what}, not {kind}")


def not_awaitable(function: object, what: str, outcome: object) -> ConfigurationError:
    """Return the error for a host function whose return value can't be awaited; the value is not quoted."""
    msg = f"{what}; {place_of(function)} returned a {type(outcome).__name__}, which can't be awaited: use `async def`"
    return ConfigurationError(msg)


def place_of(function: object) -> str:
    """Return the name, the file and the line of a function: "lookup (service.py:17)". Arguments are not shown."""
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "host_function", function)
    found = inspect.unwrap(function) if callable(function) else function
    found = getattr(found, "__func__", found)
    code = getattr(found, "__code__", None)
    name = getattr(found, "__qualname__", None) or type(found).__qualname__
    if code is None:  # an object with __call__
        code = getattr(vars(type(found)).get("__call__"), "__code__", None)
    return name if code is None else f"{name} ({Path(code.co_filename).name}:{code.co_firstlineno})"
