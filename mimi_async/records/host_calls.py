"""Calls of functions and stores that the host supplies: they may raise anything."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from ..errors import ConfigurationError, MimiError, StoreError, StoreUnavailableError, describe_exception
from ..host_functions import PROGRAMMING_ERRORS, not_awaitable, place_of

T = TypeVar("T")

_NOTHING = object()


async def call_host(
    function: Callable[..., Awaitable[T]],
    *arguments: object,
    failure: type[MimiError],
    name: str,
    may_raise: tuple[type[MimiError], ...],
    returns: tuple[type, ...] = (object,),
) -> T:
    """Call and await a function of the host, and convert what it raises to a `MimiError` without its text.

    Args:
        function: The function.
        arguments: Its arguments.
        failure: The error class of an unexpected exception.
        name: The name of the function in messages.
        may_raise: Errors that pass through. Any other exception is converted, also one that looks like a verdict.
        returns: The classes that it may return.

    Raises:
        ConfigurationError: The function returned a value of another class, can't be awaited, or raised one of
            `PROGRAMMING_ERRORS`: the message names the function, its file and its line.
    """
    awaitable: Any = _NOTHING
    try:
        awaitable = function(*arguments)
        answer: T = await awaitable
        if isinstance(answer, returns):
            return answer
        expected = " or ".join("None" if kind is type(None) else kind.__name__ for kind in returns)
        msg = f"{name} returned a {type(answer).__name__}, not {expected}: correct it; the stored record was kept"
        error: MimiError = ConfigurationError(msg)
    except may_raise:
        raise
    except asyncio.CancelledError as cancelled:
        if cast("asyncio.Task[Any]", asyncio.current_task()).cancelling():
            raise
        error = _failure(cancelled, failure, name)
    except PROGRAMMING_ERRORS as defect:
        error = _defect(defect, function, awaitable, name)
    except Exception as unexpected:  # noqa: BLE001 - a host's store, send and known_id may raise anything: never "no user"
        error = _failure(unexpected, failure, name)
    raise error


def call_store(
    verb: Callable[..., Awaitable[T]], *arguments: object, returns: tuple[type, ...] = (object,)
) -> Awaitable[T]:
    """Call a verb of a store; an unexpected exception becomes a `StoreUnavailableError`."""
    failure, may_raise = StoreUnavailableError, (StoreError, ConfigurationError)
    return call_host(verb, *arguments, failure=failure, name="the store", may_raise=may_raise, returns=returns)


def _defect(error: Exception, function: object, awaitable: object, name: str) -> MimiError:
    if awaitable is not _NOTHING and not inspect.isawaitable(awaitable):
        return not_awaitable(function, f"{name} must be asynchronous", awaitable)
    place = place_of(function)
    msg = f"{name} has a defect: {place} failed by {describe_exception(error)}; the stored record was kept: correct it"
    return ConfigurationError(msg)


def _failure(error: BaseException, failure: type[MimiError], name: str) -> MimiError:
    return failure(f"{name} failed: {describe_exception(error)}; the stored record was kept")
