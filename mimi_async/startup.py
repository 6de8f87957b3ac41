"""The start-up, as a sequence: transport, store, restore. An error names its phase."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

import tenacity

from .auth.actor import Actor, Shared
from .auth.changes import Changes, NewsLostError
from .auth.controller import AuthController
from .auth.foreign import of_the_store
from .errors import (
    ConfigurationError,
    MimiError,
    Phase,
    StartupError,
    StoreCorruptError,
    StoreUnavailableError,
    UnknownAnonymousIdError,
    described,
)
from .stores.base import IdentityStore

_T = TypeVar("_T")

_PHASE_SECONDS = 30.0
_BACK_OFF = tenacity.wait_random_exponential(multiplier=0.5, max=30)

Sleep = Callable[[float], Awaitable[None]]


def check_settings(store: object, known_id: object, send: object, on_restore_failure: str, keep: object) -> None:
    """Refuse settings of a core that can't work.

    Raises:
        ConfigurationError: One of them is of another kind; the message says what to give.
    """
    if not isinstance(store, IdentityStore):
        msg = "store must be an IdentityStore: SQLiteStore(path), or MemoryStore() for a host that keeps the id itself"
        raise ConfigurationError(msg)
    for name, function in (("known_id", known_id), ("send", send)):
        if function is not None and not callable(function):
            msg = f"{name} is an async function, not a {type(function).__name__}"
            raise ConfigurationError(msg)
    if on_restore_failure not in ("raise", "keep_trying"):
        msg = "on_restore_failure is 'raise' or 'keep_trying'"
        raise ConfigurationError(msg)
    if not isinstance(keep, int) or keep < 0:
        msg = "keep is how many idle controllers stay restored: a whole number, 0 or more"
        raise ConfigurationError(msg)


async def open_parts(
    stack: AsyncExitStack, transport: AbstractAsyncContextManager[Any] | None, store: IdentityStore
) -> None:
    """Open what a core needs, in this order; the stack closes it in the other.

    Raises:
        StartupError: The phase "transport" or "store" has failed.
    """
    if transport is not None:
        await _phase("transport", stack.enter_async_context(transport))
    await _phase("store", of_the_store(store.__aenter__))
    stack.push_async_callback(_leave, store)


async def _leave(store: IdentityStore) -> None:
    async with asyncio.timeout(_PHASE_SECONDS):
        await store.__aexit__(None, None, None)


async def begin(stack: AsyncExitStack, shared: Shared, own: AuthController | None, changes: Changes | None) -> None:
    """Heed what others change in the store, from before the first restore on, and restore the app's own account.

    Raises:
        StartupError: The phase "restore" has failed.
    """
    if changes is not None:
        stack.callback(shared.turns.own(keep_heeding(changes)).cancel)
    if own is not None and own.keeps_trying:
        work = keep_restoring(own) if changes is None else keep_restored(own, shared)
        stack.callback(shared.turns.own(work).cancel)
    elif own is not None:
        await restore(own)


async def restore(auth: AuthController) -> None:
    """Restore the app's own account. A verdict about its record is no failed start: its gate is shut, and tells why.

    Raises:
        StartupError: The phase "restore" has failed.
    """
    try:
        await auth.restore()
    except UnknownAnonymousIdError:
        return
    except StoreCorruptError as error:
        if error.revision is None:
            raise _failed(error, phase="restore") from error
    except MimiError as error:
        raise _failed(error, phase="restore") from error


async def keep_restoring(auth: AuthController, *, sleep: Sleep = asyncio.sleep) -> None:
    """Restore until it ends well, or with a verdict; the gate tells which."""
    try:
        await tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_may_pass),
            wait=_BACK_OFF,
            stop=tenacity.stop_never,
            sleep=sleep,
            reraise=True,
        )(auth.restore)
    except MimiError:
        return
    except Exception as error:  # noqa: BLE001 - a flaw in a host's send must leave no view waiting at the gate
        auth.gate.shut(ConfigurationError(f"the restore can't work: {described(error)}"))
    finally:
        auth.keeps_trying = False


async def keep_restored(auth: AuthController, shared: Shared) -> None:
    """Keep restoring, now and whenever a change in the store has left it unknown who the user is."""
    lost = asyncio.Event()

    def begin_again(whose: Actor) -> None:
        if whose is auth:
            auth.keeps_trying = True
            lost.set()

    shared.on_lost = begin_again
    while True:
        await keep_restoring(auth)
        await lost.wait()
        lost.clear()
        auth.keeps_trying = True


async def keep_heeding(changes: Changes, *, sleep: Sleep = asyncio.sleep) -> None:
    """Heed the changes that others make in the store, for as long as it tells any."""
    await tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(NewsLostError),
        wait=_pause,
        stop=tenacity.stop_never,
        sleep=sleep,
        reraise=True,
    )(changes.listen)


def _pause(state: tenacity.RetryCallState) -> float:
    failure = state.outcome.exception() if state.outcome is not None else None
    if isinstance(failure, NewsLostError) and failure.was_long:
        state.attempt_number = 1  # what was well for long has failed anew: not the last of many failures in a row
    return _BACK_OFF(state)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, MimiError) and error.retryable


async def _phase(phase: Phase, step: Awaitable[_T]) -> _T:
    try:
        async with asyncio.timeout(_PHASE_SECONDS):
            return await step
    except MimiError as error:
        raise _failed(error, phase=phase) from error
    except TimeoutError:
        late = StoreUnavailableError(f"the {phase} did not open within {_PHASE_SECONDS:g} s")
    raise _failed(late, phase=phase) from late


def _failed(error: MimiError, *, phase: Phase) -> StartupError:
    return StartupError(f"the core could not start ({phase}): {error}", phase=phase, retryable=error.retryable)
