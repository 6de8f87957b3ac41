"""The start-up as a sequence: transport, store, restore. An error names its phase."""

import asyncio
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

from .auth.background import keep_restored, retry_restore, watch_changes
from .auth.change_listener import ChangeListener
from .auth.context import ControllerContext
from .auth.controller import AuthController
from .errors import (
    ConfigurationError,
    MimiError,
    Phase,
    StartupError,
    StoreCorruptError,
    StoreUnavailableError,
    UnknownAnonymousIdError,
)
from .host_functions import validate_function
from .records.host_calls import call_store
from .stores.base import IdentityStore
from .timeouts import Timeouts

_T = TypeVar("_T")


def check_settings(
    store: object,
    known_id: object,
    send: object,
    on_restore_failure: str,
    max_idle_controllers: object,
    has_two_ways: bool,
) -> None:
    """Refuse invalid settings of a core.

    Raises:
        ConfigurationError: A setting is invalid; the message names the valid ones.
    """
    if not isinstance(store, IdentityStore):
        msg = "store must be an IdentityStore: SQLiteStore(path), or MemoryStore() for a host that keeps the id itself"
        raise ConfigurationError(msg)
    if known_id is not None:
        validate_function(known_id, "known_id is an `async def known_id(account)`", "account")
    if send is not None:
        validate_function(send, "send is an `async def send(request)`", None)
    if has_two_ways:
        msg = "give either send, or server, session and proxy: send replaces the transport that the others configure"
        raise ConfigurationError(msg)
    if on_restore_failure not in ("raise", "retry"):
        msg = "on_restore_failure is 'raise' or 'retry'"
        raise ConfigurationError(msg)
    if not isinstance(max_idle_controllers, int) or max_idle_controllers < 0:
        msg = "max_idle_controllers is how many idle controllers stay restored: a whole number, 0 or more"
        raise ConfigurationError(msg)


async def open_parts(
    stack: AsyncExitStack,
    transport: AbstractAsyncContextManager[Any] | None,
    store: IdentityStore,
    timeouts: Timeouts,
) -> None:
    """Open the transport, then the store; the stack closes them in reverse order.

    Raises:
        StartupError: The phase "transport" or "store" has failed.
    """
    if transport is not None:
        await _phase("transport", stack.enter_async_context(transport), timeouts.startup)
    await _phase("store", call_store(store.__aenter__), timeouts.startup)

    async def leave() -> None:
        async with asyncio.timeout(timeouts.startup):
            await store.__aexit__(None, None, None)

    stack.push_async_callback(leave)


async def start_background(
    stack: AsyncExitStack, shared: ControllerContext, own: AuthController | None, changes: ChangeListener | None
) -> None:
    """Watch the change feed of the store, then restore the app's own account, now or in the background.

    Raises:
        StartupError: The phase "restore" has failed.
    """
    if changes is not None:
        stack.callback(shared.supervisor.spawn(watch_changes(changes, shared.timeouts)).cancel)
    if own is not None and shared.retried is own:
        work = retry_restore(own, shared) if changes is None else keep_restored(own, shared)
        stack.callback(shared.supervisor.spawn(work).cancel)
    elif own is not None:
        try:
            await own.restore()
        except MimiError as error:
            is_verdict = isinstance(error, StoreCorruptError) and error.revision is not None
            if not (is_verdict or isinstance(error, UnknownAnonymousIdError)):  # else the start goes on, the gate shut
                raise _failed(error, phase="restore") from error


async def _phase(phase: Phase, step: Awaitable[_T], seconds: float) -> _T:
    try:
        async with asyncio.timeout(seconds):
            return await step
    except MimiError as error:
        raise _failed(error, phase=phase) from error
    except TimeoutError:
        late = StoreUnavailableError(f"the {phase} did not open within {seconds:g} s")
    raise _failed(late, phase=phase) from late


def _failed(error: MimiError, *, phase: Phase) -> StartupError:
    return StartupError(f"the core could not start ({phase}): {error}", phase=phase, retryable=error.retryable)
