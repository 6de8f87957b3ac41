"""The border to somebody else's code: a store, a `send` and a known_id may raise anything, and nothing of it counts."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from ..errors import ConfigurationError, MimiError, StoreError, StoreUnavailableError, described

T = TypeVar("T")


async def foreign(
    ask: Callable[..., Awaitable[T]],
    *arguments: object,
    failure: type[MimiError],
    whose: str,
    may_raise: tuple[type[MimiError], ...],
    gives: tuple[type, ...] = (object,),
) -> T:
    """Call and await somebody else's code.

    Args:
        ask: What is called.
        arguments: What it is given.
        failure: What its failure is, without its text.
        whose: What failed, for the message.
        may_raise: What it may raise as it is. Whatever else it raises is no verdict, also where it looks like one.
        gives: What it may return.

    Raises:
        ConfigurationError: It returned something else.
    """
    try:
        answer = await ask(*arguments)
        if isinstance(answer, gives):
            return answer
        msg = f"{whose} returned a {type(answer).__name__}, which is no answer: mend it; what is stored was kept"
        refused: MimiError = ConfigurationError(msg)
    except may_raise:
        raise
    except asyncio.CancelledError as error:
        if cast("asyncio.Task[Any]", asyncio.current_task()).cancelling():
            raise
        refused = _refused(error, failure, whose)
    except Exception as error:  # noqa: BLE001 - a host's store, send and known_id may raise anything, and never "no user"
        refused = _refused(error, failure, whose)
    raise refused


def of_the_store(
    verb: Callable[..., Awaitable[T]], *arguments: object, gives: tuple[type, ...] = (object,)
) -> Awaitable[T]:
    """Return what a verb of a store comes to, its failure being a `StoreUnavailableError`."""
    failure, may_raise = StoreUnavailableError, (StoreError, ConfigurationError)
    return foreign(verb, *arguments, failure=failure, whose="the store", may_raise=may_raise, gives=gives)


def _refused(error: BaseException, failure: type[MimiError], whose: str) -> MimiError:
    return failure(f"{whose} failed: {described(error)}; what is stored was kept")
